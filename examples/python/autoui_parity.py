"""Auto-UI in PyTorch, on top of transformers' T5: what critiq's policies are compared with, both ways.

    python examples/python/autoui_parity.py make
        makes test/fixtures/checkpoints/autoui-*: tiny random checkpoints in every form that critiq reads, and the actions
        that PyTorch takes greedily (test/models/checkpoint/checkpoint.test.ts wants the same). Needs make_tokenizers.py's files.
    python examples/python/autoui_parity.py check FOLDER GREEDY.json
        loads a folder that `critiq checkpoint convert` wrote, by from_pretrained and by a strict load_state_dict, and
        compares its greedy actions with critiq's: `critiq checkpoint greedy FOLDER > GREEDY.json`

Needs torch, transformers (4 or 5), safetensors.
"""

import json
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "test", "fixtures")
torch.backends.mha.set_fastpath_enabled(False)


class T5ForMultimodalGeneration(T5ForConditionalGeneration):
    """The class of Auto-UI's release: one image token, attended by the encoder's states and gated into them."""

    def __init__(self, config):
        super().__init__(config)
        d = config.d_model
        self.image_dense = nn.Linear(getattr(config, "img_dim", 1408), d)
        self.mha_layer = nn.MultiheadAttention(embed_dim=d, kdim=d, vdim=d, num_heads=1, batch_first=True)
        self.gate_dense = nn.Linear(2 * d, d)

    @torch.no_grad()
    def greedy(self, ids, image, most):
        """Token ids of the likeliest action, the end token left out. ids [S], image [img_dim]."""
        text = self.encoder(input_ids=ids[None]).last_hidden_state
        token = self.image_dense(image[None])[:, None]
        seen, _ = self.mha_layer(text, token, token)
        gate = torch.sigmoid(self.gate_dense(torch.cat([text, seen], -1)))
        memory = (1 - gate) * text + gate * seen
        # transformers 5 has a key of its own for what 4 read from tie_word_embeddings
        scaled = getattr(self.config, "scale_decoder_outputs", self.config.tie_word_embeddings)
        tokens = [self.config.decoder_start_token_id]
        while len(tokens) <= most:
            hidden = self.decoder(input_ids=torch.tensor([tokens]), encoder_hidden_states=memory).last_hidden_state[:, -1]
            best = int(self.lm_head(hidden * self.config.d_model**-0.5 if scaled else hidden).argmax())
            if best == self.config.eos_token_id:
                break
            tokens.append(best)
        return tokens[1:]


def tokenizer_of(folder):
    """As DigiRL's code sets it up."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.truncation_side = "left"
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def answer(model, tokenizer, prompt, image, most):
    ids = tokenizer(prompt, return_tensors="pt", truncation=True, max_length=512)["input_ids"][0]
    tokens = model.greedy(ids, torch.tensor(image), most)
    return tokens, tokenizer.decode(tokens, skip_special_tokens=True)


def check(folder, file):
    with open(file) as f:
        said = json.load(f)
    model, info = T5ForMultimodalGeneration.from_pretrained(folder, output_loading_info=True)
    strange = {kind: list(names) for kind, names in info.items() if names}
    if strange:
        sys.exit(f"{folder}: from_pretrained says {strange}")
    strict = T5ForMultimodalGeneration(T5Config.from_pretrained(folder))
    with open(os.path.join(folder, "config.json")) as f:
        if not json.load(f)["tie_word_embeddings"]:  # transformers 4 has two tables then, 5 ties them whatever it is told
            strict.lm_head.weight = nn.Parameter(strict.lm_head.weight.detach().clone())
    strict.load_state_dict(load_file(os.path.join(folder, "model.safetensors")), strict=True)
    tokenizer, wrong = tokenizer_of(folder), 0
    for how, loaded in (("from_pretrained", model), ("load_state_dict", strict)):
        loaded = loaded.float().eval()
        for case in said["cases"]:
            tokens, text = answer(loaded, tokenizer, case["prompt"], case["image"], said["max_tokens"])
            if tokens != case["tokens"] or text != case["text"]:
                wrong += 1
                print(f"{how}: {case['prompt']!r}\n  critiq  {case['text']!r}\n  PyTorch {text!r}")
    total = 2 * len(said["cases"])
    print(f"{total - wrong} of {total} greedy actions are the same")
    sys.exit(1 if wrong else 0)


PROMPTS = [
    "Previous Actions: Goal: Open the settings</s>",
    "Previous Actions: Goal: What's the weather like in Toronto?</s>",
    'Previous Actions: Action Decision: "action_type": "PRESS_HOME", "touch_point": "[-1.0, -1.0]", "lift_point": '
    '"[-1.0, -1.0]", "typed_text": "" Goal: set an alarm for 6:45 am</s>',
    "Previous Actions: Goal: search for café 😀 ＦＵＬＬ</s>",
    "search for acer predator and add it to the cart",
    "Goal: " + "a very long goal that goes on and on, and then some more of it; " * 30 + "the end</s>",
    "x",
    "",
]
MOST = 12


def fill(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.copy_(1 + 0.2 * torch.randn_like(p))
            elif p.dim() < 2:
                p.copy_(0.1 * torch.randn_like(p))
            else:
                # attention is not scaled in T5: small queries keep it soft, so that every step says something else
                gain = 0.3 if ".q." in name or "EncDecAttention.o" in name else 1.5
                p.copy_(torch.randn_like(p) * (0.7 if "shared" in name else gain * p.shape[1] ** -0.5))


def rounded(model, dtype):
    """The model with the numbers that a checkpoint of a type has, computing in float32."""
    model.to(dtype)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return model.float().eval(), state


def untangled(state):
    """Without the copies of the table, which safetensors refuses to hold twice."""
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    tied = torch.equal(state["lm_head.weight"], state["shared.weight"])
    return {n: t for n, t in state.items() if n not in copies and not (tied and n == "lm_head.weight")}


def halves(state):
    names = sorted(state)
    return [{n: state[n] for n in names[: len(names) // 2]}, {n: state[n] for n in names[len(names) // 2 :]}]


def sharded(path, stem, end, state, save):
    weight_map = {}
    for i, part in enumerate(halves(state), 1):
        name = f"{stem}-{i:05}-of-00002.{end}"
        save(part, os.path.join(path, name))
        weight_map.update({n: name for n in part})
    total = sum(t.numel() * t.element_size() for t in state.values())
    with open(os.path.join(path, f"{stem}.{end}.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": total}, "weight_map": weight_map}, f)


def save_safe(state, file):
    save_file({n: t.contiguous() for n, t in state.items()}, file, metadata={"format": "pt"})


def make():
    sizes = dict(vocab_size=222, d_model=12, d_kv=4, d_ff=8, num_heads=2, decoder_start_token_id=0)
    tokenizer = tokenizer_of(os.path.join(FIXTURES, "tokenizers", "t5-hub"))
    sizes["vocab_size"] = len(tokenizer)
    relu = dict(feed_forward_proj="relu", tie_word_embeddings=True, num_layers=2)
    gated = dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_layers=1)
    forms = {
        "autoui-bin": (relu, torch.float32, 0),
        "autoui-safetensors-bf16": (relu, torch.bfloat16, 0),
        "autoui-sharded-f16": (relu, torch.float16, 0),
        "autoui-sharded-bin-bf16": (gated, torch.bfloat16, 1),
        "autoui-trainer-f16": (gated, torch.float16, 1),
    }
    generator = torch.Generator().manual_seed(7)
    images = (torch.randn(len(PROMPTS), 9, generator=generator) * 1024).round() / 1024
    for name, (kind, dtype, seed) in forms.items():
        path = os.path.join(FIXTURES, "checkpoints", name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        config = T5Config(**sizes, **kind)
        config.img_dim = 9
        model = T5ForMultimodalGeneration(config)
        if kind is gated:  # transformers 5 ties whatever it is told
            model.lm_head.weight = nn.Parameter(torch.empty_like(model.shared.weight))
        fill(model, seed)
        model, state = rounded(model, dtype)
        if name == "autoui-bin":
            torch.save(state | {k: state["shared.weight"] for k in state if "embed_tokens" in k or k == "lm_head.weight"},
                       os.path.join(path, "pytorch_model.bin"))  # fmt: skip
        elif name == "autoui-safetensors-bf16":
            save_safe(untangled(state), os.path.join(path, "model.safetensors"))
        elif name == "autoui-sharded-f16":
            sharded(path, "model", "safetensors", untangled(state), save_safe)
        elif name == "autoui-sharded-bin-bf16":
            sharded(path, "pytorch_model", "bin", untangled(state), torch.save)
        else:  # as DigiRL's training saves it, out of DataParallel
            state = {f"module.{n}": t for n, t in untangled(state).items()}
            torch.save({"model_state_dict": state, "critic_state_dict": {}, "epoch": 3}, os.path.join(path, "trainer.pt"))
        if name in ("autoui-sharded-f16", "autoui-trainer-f16"):  # as transformers 5 writes it
            written = json.loads(config.to_json_string(use_diff=False))
            written["dtype"] = str(dtype).removeprefix("torch.")
        else:  # as 4 does
            written = {**sizes, **kind, "img_dim": 9, "num_decoder_layers": kind["num_layers"], "model_type": "t5", "layer_norm_epsilon": 1e-6,
                       "relative_attention_num_buckets": 32, "pad_token_id": 0, "eos_token_id": 1, "is_encoder_decoder": True,
                       "torch_dtype": str(dtype).removeprefix("torch."), "transformers_version": "4.37.2"}  # fmt: skip
        with open(os.path.join(path, "config.json"), "w") as f:
            json.dump(written, f, indent=1)
        cases = []
        for prompt, image in zip(PROMPTS, images):
            tokens, text = answer(model, tokenizer, prompt, image.tolist(), MOST)
            cases.append({"tokens": tokens, "text": text})
        with open(os.path.join(path, "greedy.json"), "w") as f:
            json.dump(cases, f, ensure_ascii=False)
    with open(os.path.join(FIXTURES, "checkpoints", "prompts.json"), "w") as f:
        cases = [{"prompt": prompt, "image": image.tolist()} for prompt, image in zip(PROMPTS, images)]
        json.dump({"max_tokens": MOST, "cases": cases}, f, ensure_ascii=False)


if __name__ == "__main__":
    if sys.argv[1:] == ["make"]:
        make()
    elif len(sys.argv) == 4 and sys.argv[1] == "check":
        check(*sys.argv[2:])
    else:
        sys.exit(__doc__)
