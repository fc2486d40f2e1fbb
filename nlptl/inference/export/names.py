"""Names in an exported folder, and of what can be exported."""

KIND = "onnx"
GRAPH = "model.onnx"
OUTPUTS = ("logits", "features")
REFERENCE = "reference.safetensors"
"""What the run itself answers on its test rows, in float32: what an export is compared with, here and elsewhere."""
GATE = "gate.json"
FORMATS = {
    "onnx": "a graph for ONNX Runtime, compared with the run on its test rows",
    "transformers": "weights that stand alone, as `nlptl merge` writes them",
    "adapter": "the adapter of a run of mode lora, as PEFT opens it",
}
PRECISIONS = {"fp32": "as trained, but for rounding", "int8": "weights of eight bits where they do no harm"}
