"""Makes test/fixtures/checkpoints/{roberta,blip2}: tiny random towers as transformers' save_pretrained writes them, and what
PyTorch makes of texts and screenshots with them. Run from anywhere:

    python test/python/make_towers.py        # needs torch, transformers 5, pillow; the files of make_tokenizers.py and preprocess.py

  roberta     RobertaForSequenceClassification-like names (`roberta.`) with the pooler, float16, and the tokenizer roberta-4
  blip2       a whole Blip2ForConditionalGeneration in float16 shards; those without the vision tower are not kept
"""

import json
import os
import shutil
import tempfile

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer, Blip2Config, Blip2ForConditionalGeneration, Blip2VisionConfig, OPTConfig, RobertaConfig, RobertaModel,
)  # fmt: skip
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures")


def folder(name):
    path = os.path.join(FIXTURES, "checkpoints", name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def fill(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name.lower() and name.endswith("weight"):
                p.copy_(1 + 0.2 * torch.randn_like(p))
            else:
                p.copy_(torch.randn_like(p) * (0.1 if p.dim() < 2 else 0.3))
    return model.half().float().eval()


def write_json(path, name, value):
    with open(os.path.join(path, name), "w") as f:
        json.dump(value, f, ensure_ascii=False)


def roberta():
    tokenizer = AutoTokenizer.from_pretrained(os.path.join(FIXTURES, "tokenizers", "roberta-5"))
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
        max_position_embeddings=42, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5,
    )  # fmt: skip
    model = fill(RobertaModel(config), 3)
    path = folder("roberta")
    with tempfile.TemporaryDirectory() as work:
        model.half().save_pretrained(work)
        shutil.copy(os.path.join(work, "config.json"), path)
        state = load_file(os.path.join(work, "model.safetensors"))
    state = {f"roberta.{name}": tensor for name, tensor in state.items()}
    state["lm_head.bias"] = torch.zeros(config.vocab_size, dtype=torch.float16)
    save_file(state, os.path.join(path, "model.safetensors"), metadata={"format": "pt"})
    model = model.float()
    texts = ["Open the settings", "a", "", "search for acer predator and add it to the cart", "café 😀",
             "the text is longer than the model has positions for, " * 6]  # fmt: skip
    pooled = []
    with torch.no_grad():
        for text in texts:
            pooled.append(model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=40)).pooler_output[0])
    write_json(path, "expected.json", [{"text": t, "vector": v.tolist()} for t, v in zip(texts, pooled)])


def blip2():
    vision = dict(hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=3, image_size=28,
                  patch_size=7, initializer_range=0.02)  # fmt: skip
    qformer = dict(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, encoder_hidden_size=24)
    text = OPTConfig(vocab_size=40, hidden_size=8, num_hidden_layers=1, ffn_dim=8, num_attention_heads=2, word_embed_proj_dim=8,
                     max_position_embeddings=20)  # fmt: skip
    config = Blip2Config(vision_config=vision, qformer_config=qformer, text_config=text.to_dict(), num_query_tokens=2)
    model = fill(Blip2ForConditionalGeneration(config), 4)
    path = folder("blip2")
    model.half().save_pretrained(path, max_shard_size="14KB")
    index = os.path.join(path, "model.safetensors.index.json")
    with open(index) as f:
        weight_map = json.load(f)["weight_map"]
    kept = {shard for name, shard in weight_map.items() if "vision_model" in name}
    print("shards with the tower:", len(kept), "of", len(set(weight_map.values())), "; names:", sorted(weight_map)[-1])
    for shard in set(weight_map.values()) - kept:
        os.remove(os.path.join(path, shard))
    processor = BlipImageProcessorPil(size={"height": 28, "width": 28})
    processor.save_pretrained(path)
    image = Image.open(os.path.join(FIXTURES, "preprocess", "phone.png"))
    images = [image, image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    with torch.no_grad():
        tower = model.float().vision_model if hasattr(model, "vision_model") else model.float().model.vision_model
        pooled = tower(pixel_values=torch.tensor(processor(images, return_tensors="np")["pixel_values"])).pooler_output
    write_json(path, "expected.json", pooled.tolist())


roberta()
blip2()
