"""A Whisper-shaped CTranslate2 model with random weights: real structure and special tokens, meaningless text.

The shapes are those of the multilingual vocabulary (51,865 entries; openai/whisper `tokenizer.py`), so faster-whisper
takes every path it takes with real weights: language tokens, timestamps, alignment for word times.
"""

import json
from pathlib import Path

import numpy as np
from ctranslate2.specs import whisper_spec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

WIDTH, HEADS, LAYERS, MELS = 32, 1, 1, 80
TEXT_TOKENS = 50257
LANGUAGES = [code for code in _LANGUAGE_CODES if code != "yue"]


def _byte_letters() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in order of byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(spare)) for b in range(256)]


def _tokens() -> tuple[list[str], list[str], list[str]]:
    letters = _byte_letters()
    text = letters + [f"\u0120w{n}" for n in range(TEXT_TOKENS - 257)] + [""]  # "" marks the multilingual one
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{c}|>" for c in LANGUAGES)]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    special += ["<|notimestamps|>"]
    return text, special, [f"<|{n * 0.02:.2f}|>" for n in range(1501)]


def build(folder: Path, seed: int = 0) -> Path:
    """Write the model to `folder` (made if absent) and return it. About 4 MB."""
    folder.mkdir(parents=True, exist_ok=True)
    text, special, times = _tokens()
    tokenizer = Tokenizer(models.BPE(vocab={t: n for n, t in enumerate(text)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in times])
    tokenizer.save(str(folder / "tokenizer.json"))
    spec = _spec(len(text) + len(special) + len(times), np.random.default_rng(seed))
    spec.register_vocabulary([*text, *special, *times])
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], [220, TEXT_TOKENS]
    spec.config.lang_ids = [TEXT_TOKENS + 2 + n for n in range(len(LANGUAGES))]
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": MELS, "sampling_rate": 16000}))
    return folder


def _spec(vocabulary: int, rng: np.random.Generator) -> whisper_spec.WhisperSpec:
    def noise(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.05).astype(np.float32)

    def linear(layer, rows: int, columns: int) -> None:
        layer.weight, layer.bias = noise(rows, columns), np.zeros(rows, np.float32)

    def norm(layer) -> None:
        layer.gamma, layer.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)

    def attention(layer, cross: bool = False) -> None:
        norm(layer.layer_norm)
        for part, rows in zip(layer.linear, (1, 2, 1) if cross else (3, 1), strict=True):
            linear(part, rows * WIDTH, WIDTH)

    def feed_forward(layer) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, 4 * WIDTH, WIDTH)
        linear(layer.linear_1, WIDTH, 4 * WIDTH)

    spec = whisper_spec.WhisperSpec(LAYERS, HEADS, LAYERS, HEADS)
    encoder, decoder = spec.encoder, spec.decoder
    for layer, depth in ((encoder.conv1, MELS), (encoder.conv2, WIDTH)):
        layer.weight, layer.bias = noise(WIDTH, depth, 3), np.zeros(WIDTH, np.float32)
    encoder.position_encodings.encodings = noise(1500, WIDTH)
    decoder.position_encodings.encodings = 40 * noise(448, WIDTH)  # so loud that it does not say one word for ever
    decoder.embeddings.weight = noise(vocabulary, WIDTH)
    decoder.projection.weight = decoder.embeddings.weight
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    for layer in (*encoder.layer, *decoder.layer):
        attention(layer.self_attention)
        feed_forward(layer.ffn)
    for layer in decoder.layer:
        attention(layer.attention, cross=True)
    return spec
