"""Exports a LLaVA checkpoint as one ONNX graph that `represent.backend=onnx` reads (docs/vlm.md):

    python examples/python/export_vlm_onnx.py llava-1.5-7b-hf exported/     # needs torch, transformers 5, onnx
    python examples/python/export_vlm_onnx.py --tiny test/fixtures/vlm-onnx # makes the fixture of the tests

Inputs input_ids [1, tokens], attention_mask [1, tokens], pixel_values [1, 3, height, width]; output last_hidden_state
[1, tokens, width of the language model]. Beside model.onnx lie the files of the checkpoint's processor and tokenizer.
The fixture is a LLaVA of random weights with a tokenizer of its own, and what PyTorch makes of two pictures and prompts
(reference.json): the tests need no Python.
"""

import argparse
import json
import os
import shutil

import torch
from torch import nn

# what the processor and the tokenizer of a checkpoint may consist of
PROCESSOR_FILES = [
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.json",
    "chat_template.jinja",
]


class LastHiddenState(nn.Module):
    """Only what is wanted of a LlavaForConditionalGeneration: no head, no cache."""

    def __init__(self, model):
        super().__init__()
        self.model = model.model

    def forward(self, input_ids, attention_mask, pixel_values):
        out = self.model(
            input_ids=input_ids, attention_mask=attention_mask, pixel_values=pixel_values, use_cache=False, return_dict=True
        )
        return out.last_hidden_state


def export(model, out, tokens, size, image_tokens):
    """Traces the model with a prompt of `tokens` tokens, of which `image_tokens` are the image's."""
    image_id = model.config.image_token_index if hasattr(model.config, "image_token_index") else model.config.image_token_id
    ids = torch.full((1, tokens), 5, dtype=torch.int64)
    ids[0, 1 : 1 + image_tokens] = image_id
    inputs = (ids, torch.ones_like(ids), torch.rand(1, 3, *size))
    torch.onnx.export(
        LastHiddenState(model).eval(),
        inputs,
        os.path.join(out, "model.onnx"),
        input_names=["input_ids", "attention_mask", "pixel_values"],
        output_names=["last_hidden_state"],
        dynamic_axes={"input_ids": {1: "tokens"}, "attention_mask": {1: "tokens"}, "last_hidden_state": {1: "tokens"}},
        opset_version=18,
        dynamo=False,
    )


def from_checkpoint(folder, out):
    from transformers import LlavaForConditionalGeneration

    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    vision = model.config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    export(model, out, patches + 16, (vision.image_size, vision.image_size), patches)
    for name in PROCESSOR_FILES:
        if os.path.exists(os.path.join(folder, name)):
            shutil.copy(os.path.join(folder, name), out)


CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '\n' + message['role'].upper() + ': ' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>\n' }}"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ '</s>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\nASSISTANT:' }}{% endif %}"
)
SIDE, PATCH, WIDTH = 16, 8, 16
TEXTS = ["Is the cursor on something? Yes or No.", "The BACK button is pressed. Will the screen change?"]


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def tiny(out):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    special = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
    letters = [chr(c) for c in range(33, 127)] + ["Ġ", "Ċ"]
    merges = [("Y", "e"), ("Ye", "s"), ("N", "o"), ("t", "h"), ("th", "e"), ("i", "n")]
    vocab = {t: i for i, t in enumerate(special + letters + [a + b for a, b in merges])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocab["<s>"])])
    tokenizer.save(os.path.join(out, "tokenizer.json"))
    write_json(
        os.path.join(out, "tokenizer_config.json"),
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "chat_template": CHAT_TEMPLATE,
        },
    )
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    write_json(
        os.path.join(out, "preprocessor_config.json"),
        {
            "image_processor_type": "CLIPImageProcessor",
            "processor_class": "LlavaProcessor",
            "do_convert_rgb": True,
            "do_resize": True,
            "size": {"shortest_edge": SIDE},
            "do_center_crop": True,
            "crop_size": {"height": SIDE, "width": SIDE},
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": mean,
            "image_std": std,
            "resample": 3,
        },
    )
    patches = (SIDE // PATCH) ** 2
    write_json(
        os.path.join(out, "processor_config.json"),
        {
            "processor_class": "LlavaProcessor",
            "image_token": "<image>",
            "patch_size": PATCH,
            "num_additional_image_tokens": 1,
            "vision_feature_select_strategy": "default",
        },
    )
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, image_size=SIDE, patch_size=PATCH, projection_dim=8
        ),
        text_config=LlamaConfig(
            vocab_size=len(vocab), hidden_size=WIDTH, intermediate_size=20, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
            max_position_embeddings=512,
        ),
        image_token_index=vocab["<image>"],
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    config._attn_implementation = "eager"
    model = LlavaForConditionalGeneration(config).eval()
    # weights of size 1 rather than 0.02, so that nothing hides in rounding
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() > 1:
                p.mul_(20)
    config.save_pretrained(out)
    export(model, out, patches + 12, (SIDE, SIDE), patches)

    def reference(picture, text, position):
        """PyTorch's vector for a picture of SIDE x SIDE (nothing to be resized) and a prompt."""
        pixels = torch.tensor(picture, dtype=torch.float32).reshape(SIDE, SIDE, 3).permute(2, 0, 1) / 255
        pixels = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        end = "\nASSISTANT:" if position == "prompt" else "\nASSISTANT: Yes"
        ids = tokenizer.encode("\nUSER: " + "<image>" * patches + "\n" + text + end).ids
        ids = torch.tensor([ids])
        with torch.no_grad():
            got = LastHiddenState(model)(ids, torch.ones_like(ids), pixels[None])
        return {"ids": ids[0].tolist(), "vector": got[0, -1].tolist()}

    generator = torch.Generator().manual_seed(1)
    cases = []
    for text in TEXTS:
        picture = torch.randint(0, 256, (SIDE * SIDE * 3,), generator=generator).tolist()
        cases.append({"text": text, "rgb": picture, **{p: reference(picture, text, p) for p in ["answer", "prompt"]}})
    write_json(os.path.join(out, "reference.json"), {"side": SIDE, "cases": cases})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", help="folder of a LLaVA checkpoint of transformers")
    parser.add_argument("out", help="folder for the export")
    parser.add_argument("--tiny", action="store_true", help="a tiny random model instead of a checkpoint")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    if args.tiny:
        tiny(args.out)
    elif args.checkpoint:
        from_checkpoint(args.checkpoint, args.out)
    else:
        parser.error("give the folder of a checkpoint")


if __name__ == "__main__":
    main()
