"""Attacks a plain model behind MLServer, an Open Inference Protocol server that is not ours.

    python scripts/measure/attack_mlserver.py --python PYTHON [--queries 200] [--out results/mlserver.json]

The model is softmax regression on scikit-learn's digits in a NumPy runtime: images (B, 64) of rates to scores (B, 10).
MLServer pins other versions than we do, and so it lives in an environment of its own (pip install mlserver).
Accuracy: how many inversions the model itself answers with the class that they were made for, beside uniform noise.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.files import write_text

RUNTIME = """
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Softmax(MLModel):
    async def load(self):
        kept = np.load(self._settings.parameters.uri)
        self._weight, self._bias = kept["weight"], kept["bias"]
        return True

    async def predict(self, payload):
        images = NumpyCodec.decode_input(payload.inputs[0])
        logits = images @ self._weight.T + self._bias
        raised = np.exp(logits - logits.max(1, keepdims=True))
        scores = (raised / raised.sum(1, keepdims=True)).astype(np.float32)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", scores)])
"""


def model(folder: Path, port: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Writes the model and MLServer's settings."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    images, labels = load_digits(return_X_y=True)
    fitted = LogisticRegression(max_iter=300).fit(images / 16, labels)
    np.savez(folder / "weights.npz", weight=fitted.coef_, bias=fitted.intercept_)
    (folder / "runtime.py").write_text(RUNTIME)
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    settings = {"host": "127.0.0.1", "parallel_workers": 0, **ports}
    (folder / "settings.json").write_text(json.dumps(settings))
    described = {
        "name": "digits",
        "implementation": "runtime.Softmax",
        "parameters": {"uri": str(folder / "weights.npz")},
        "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}],
    }
    (folder / "model-settings.json").write_text(json.dumps(described))
    return fitted.coef_, fitted.intercept_


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as port:
        return int(port.getsockname()[1])


def attack(url: str, queries: int, weight: Any, bias: Any) -> dict[str, Any]:
    import bl_neuro as bl

    with bl.RemoteBlackBox(url, reveals="scores", layout="rates", patience_s=120.0) as box:
        began = time.monotonic()
        inversions = bl.attacks.BrainLeaksV2(queries=queries)(box, classes=range(10), steps=25, seed=0)
        seconds = time.monotonic() - began
        spent = box.spent
    answers = (inversions.spikes.double().mean(0).numpy() @ weight.T + bias).argmax(1)
    noise = (np.random.default_rng(0).random((1000, 64)) @ weight.T + bias).argmax(1)
    return {
        "queries": spent,
        "seconds": round(seconds, 1),
        "answered_as_wanted": float(np.mean(answers == inversions.classes.numpy())),
        "most_common_answer_to_noise": float(np.bincount(noise, minlength=10).max() / 1000),
    }


def version(python: str) -> str:
    code = "import mlserver; print(mlserver.__version__)"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weight, bias = model(folder, port)
        command = [arguments.python, "-m", "mlserver.cli.main", "start", name]
        with subprocess.Popen(command, cwd=name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as served:
            try:
                results = attack(f"http://127.0.0.1:{port}/v2/models/digits", arguments.queries, weight, bias)
            finally:
                served.terminate()
    results = {"mlserver": version(arguments.python), **results}
    print(json.dumps(results, indent=2))
    if arguments.out is not None:
        write_text(arguments.out, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
