"""The ONNX graph: how a fitted plan and fitted models become one portable file, and the gate that it must pass.

- `graph.py`: the writer that ops and candidates emit nodes into;
- `trees.py`: tree ensembles as one node, exact thresholds;
- `calibration.py`: what comes after the average of the members: calibration, threshold, interval;
- `sklearn.py`: the door for a candidate of one's own that wraps a scikit-learn estimator, by skl2onnx;
- `parity.py`: the gate: what the file gives is what was trained, or it is not published.

What may not live here: fitting of models. Decisions:
    Standard operators only, opset 21 and ai.onnx.ml 3, IR 10: what onnxruntime 1.18 and later read.
    A node for the trees of each member: in one node for all, members of two classes were 18-40 % slower.
    What ops and members have in common is in the graph once (`Graph.op`).
    Features are float32, because trees compare in float32; everything after the models is float64.
    skl2onnx converts several constructs silently wrong (`python -m bench.parity --converters` shows some), so it may
    only ever be used in `sklearn.py`, behind the gate.
"""
