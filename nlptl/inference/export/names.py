"""Names in an exported folder."""

KIND = "onnx"
GRAPH = "model.onnx"
OUTPUTS = ("logits", "features")
REFERENCE = "reference.safetensors"
"""What the run itself answers on its test rows, in float32: what an export is compared with, here and elsewhere."""
GATE = "gate.json"
