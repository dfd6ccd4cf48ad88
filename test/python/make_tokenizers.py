"""Makes test/fixtures/tokenizers: tiny tokenizers in the file formats of transformers 4 and 5, and what Python makes of
some texts with them. Run from anywhere:

    python test/python/make_tokenizers.py        # needs transformers 5, tokenizers, sentencepiece

  t5-hub      T5's tokenizer.json as t5-base has it on the hub
  t5-4        as transformers 4 converts a spiece.model
  t5-5        as transformers 5 does
  roberta-4   RoBERTa's tokenizer.json as roberta-base has it on the hub (merges are texts)
  roberta-5   as transformers 5 writes it (merges are pairs)
  spiece      only the spiece.model, which critiq does not read
"""

import json
import os
import shutil
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, RobertaTokenizer, T5Tokenizer

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "tokenizers")

GOALS = [
    "What's the weather like in Toronto?",
    "Open the settings and turn on dark mode.",
    "Go to costco.com, search for \"usb-c to usb-a\", and select the first entry.",
    "How much does a 2 bedroom apartment rent cost in Denver?",
    "set an alarm for 6:45 am",
    "Show me the best rated coffee table on ebay",
    "Check the news, then clear the shopping cart on walmart.",
    "search for acer predator and add it to the cart",
]


def action(kind, touch="[-1.0, -1.0]", lift="[-1.0, -1.0]", text=""):
    return (
        f'Action Plan: [{kind}]; Action Decision: "action_type": "{kind}", "touch_point": "{touch}", '
        f'"lift_point": "{lift}", "typed_text": "{text}"'
    )


ACTIONS = [
    action("DUAL_POINT", "[0.1234, 0.5678]", "[0.1234, 0.5678]"),
    action("DUAL_POINT", "[0.8, 0.5]", "[0.2, 0.5]"),
    action("TYPE", text="usb-c to usb-a"),
    action("PRESS_HOME"),
    action("STATUS_TASK_COMPLETE"),
]
TEXTS = [
    *GOALS[:4],
    *ACTIONS,
    f"Previous Actions: {ACTIONS[0][ACTIONS[0].index('Action Decision'):]} Goal: {GOALS[2]}</s>",
    "Previous Actions: Goal: set an alarm for 6:45 am</s>",
    "",
    " ",
    "a",
    "  two  spaces   and more    ",
    "tab\tand\nnew line\r\n",
    "0123456789 3.14159 -7 1,000,000 $49.99 50%",
    "“curly” ‘quotes’ «guillemets» — dash – dash… ellipsis",
    "it's isn't I'm we've they'll he'd",
    "café naïve Zürich Ünïcödé",
    "cafe\u0301 with a combining accent, A\u030a and e\u0323\u0302",
    "ﬁnd the ﬂight ™ ½ № ㎏",
    "ＦＵＬＬ ｗｉｄｔｈ １２３ ＜/s＞ ～",
    "日本語のテキスト 和 한국어 텍스트 العربية עברית हिन्दी ไทย",
    "emoji 😀 👍🏽 👩‍👩‍👧 🇩🇪 ❤️ end",
    "zero\u200bwidth no\u00a0break soft\u00adhyphen \ufeffbom",
    "control \u0001 \u0007 \u007f chars",
    "</s> <pad> <unk> <extra_id_0> a</s>b <s> <mask> </s></s>",
    "<mask> x <mask>  y<mask>",
    "▁ metaspace ▁▁ already",
    "UPPER lower MiXeD x_y-z@w.com https://www.ebay.com/sch?q=a+b&c=1",
    "trailing spaces end  ",
    ". , ; : ! ? ' \" ( ) [ ] { }",
    "not this . but that , and n't 's",
]
# what nmt_nfkc does to the characters above, as far as that is not nothing; the whole of it takes 300 KB
RULES = [
    *[(chr(c), " ") for c in (0x09, 0x0A, 0x0D, 0xA0, 0x200B, 0xFEFF)],
    *[(chr(c), "") for c in (0x01, 0x07, 0x7F)],
    *[(chr(c), chr(c - 0xFEE0)) for c in range(0xFF01, 0xFF5E)],
    ("ﬁ", "fi"), ("ﬂ", "fl"), ("™", "TM"), ("½", "1⁄2"), ("№", "No"), ("㎏", "kg"), ("…", "..."),
    ("e\u0301", "é"), ("A\u030a", "Å"), ("e\u0323", "ẹ"), ("e\u0323\u0302", "ệ"), ("ẹ\u0302", "ệ"),
]  # fmt: skip


def folder(name):
    path = os.path.join(HERE, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def write_json(path, name, value):
    with open(os.path.join(path, name), "w") as f:
        json.dump(value, f, ensure_ascii=False, separators=(",", ":"))


def expected(path, tokenizer, side):
    """Ids, texts, and ids cut to 12 as the released code (Auto-UI: left, RoBERTa: right) asks for."""
    rows = []
    tokenizer.truncation_side = side
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        cut = tokenizer(text, truncation=True, max_length=12)["input_ids"]
        rows.append({"ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=True), "cut": cut})
    write_json(path, "expected.json", rows)


def sentencepiece_model(work):
    with open(os.path.join(work, "rules.tsv"), "w") as f:
        for source, target in RULES:
            f.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
    with open(os.path.join(work, "corpus.txt"), "w") as f:
        f.write("\n".join((GOALS + ACTIONS) * 20))
    sentencepiece.SentencePieceTrainer.train(
        input=os.path.join(work, "corpus.txt"), model_prefix=os.path.join(work, "spiece"), vocab_size=220,
        hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, character_coverage=1.0, num_threads=1,
        normalization_rule_tsv=os.path.join(work, "rules.tsv"), minloglevel=2,
    )  # fmt: skip
    return os.path.join(work, "spiece.model")


def t5(work):
    model = sentencepiece_model(work)
    proto = sentencepiece_model_pb2.ModelProto()
    with open(model, "rb") as f:
        proto.ParseFromString(f.read())
    extra = [f"<extra_id_{i}>" for i in range(4)]
    vocab = [(p.piece, p.score) for p in proto.pieces] + [(token, 0.0) for token in reversed(extra)]
    charsmap = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    metaspace = dict(replacement="▁", prepend_scheme="always")
    layouts = {
        "t5-hub": (charsmap, pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**metaspace)])),
        "t5-4": (
            normalizers.Sequence([charsmap, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")]),
            pre_tokenizers.Metaspace(**metaspace),
        ),
    }  # fmt: skip
    for name, (normalizer, pre_tokenizer) in layouts.items():
        tokenizer = Tokenizer(models.Unigram(vocab, unk_id=2, byte_fallback=False))
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
        tokenizer.decoder = decoders.Metaspace(**metaspace)
        tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in ["<pad>", "</s>", "<unk>", *extra]])
        eos = ("</s>", 1)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[eos]
        )
        path = folder(name)
        tokenizer.save(os.path.join(path, "tokenizer.json"), pretty=False)
        names = dict(eos_token="</s>", unk_token="<unk>", pad_token="<pad>")
        clean = {"clean_up_tokenization_spaces": True}
        write_json(path, "tokenizer_config.json", {**names, **clean, "extra_ids": 4, "additional_special_tokens": extra,
                                                   "model_max_length": 512, "tokenizer_class": "T5Tokenizer"})  # fmt: skip
        python = PreTrainedTokenizerFast(tokenizer_file=os.path.join(path, "tokenizer.json"), **names, **clean)
        expected(path, python, "left")
    path = folder("t5-5")
    spiece = os.path.join(work, "from-spiece")
    os.makedirs(spiece)
    shutil.copy(model, os.path.join(spiece, "spiece.model"))
    python = T5Tokenizer.from_pretrained(spiece, extra_ids=4)
    python.save_pretrained(path)
    expected(path, T5Tokenizer.from_pretrained(path), "left")
    shutil.copy(model, os.path.join(folder("spiece"), "spiece.model"))


def roberta(work):
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(
        (GOALS + ACTIONS) * 5,
        trainers.BpeTrainer(vocab_size=380, special_tokens=special, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())),
    )
    model = json.loads(trained.to_str())["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
    python = RobertaTokenizer(vocab=model["vocab"], merges=merges)
    path = folder("roberta-5")
    python.save_pretrained(path)
    expected(path, RobertaTokenizer.from_pretrained(path), "right")

    tokenizer = Tokenizer(models.BPE(vocab=model["vocab"], merges=merges, continuing_subword_prefix="", end_of_word_suffix=""))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    tokenizer.add_special_tokens([AddedToken(t, normalized=True) for t in special[:4]])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    definition = json.loads(tokenizer.to_str())
    definition["model"]["merges"] = [" ".join(m) for m in merges]
    path = folder("roberta-4")
    write_json(path, "tokenizer.json", definition)
    write_json(path, "tokenizer_config.json", {"model_max_length": 512, "tokenizer_class": "RobertaTokenizer"})
    names = dict(bos_token="<s>", eos_token="</s>", sep_token="</s>", cls_token="<s>", unk_token="<unk>", pad_token="<pad>")
    python = PreTrainedTokenizerFast(
        tokenizer_file=os.path.join(path, "tokenizer.json"), mask_token=AddedToken("<mask>", lstrip=True),
        clean_up_tokenization_spaces=True, **names,
    )  # fmt: skip
    expected(path, python, "right")


with tempfile.TemporaryDirectory() as work:
    t5(work)
    roberta(work)
for name in ("t5-5", "roberta-5"):  # smaller
    with open(os.path.join(HERE, name, "tokenizer.json")) as f:
        definition = json.load(f)
    write_json(os.path.join(HERE, name), "tokenizer.json", definition)
write_json(HERE, "texts.json", TEXTS)
