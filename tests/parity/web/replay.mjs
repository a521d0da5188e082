// Runs rows through a model file in onnxruntime-web (WebAssembly):
//
//     node --liftoff-only replay.mjs m.onnx < inputs.json > outputs.json
//
// Inputs and outputs are JSON as the model file's own test vectors have them (docs/model-file.md): an array for each
// input and output, numbers that JSON lacks and whole numbers as strings. The flag leaves out V8's second compiler,
// which took 3 s for 12 MB of code that runs once.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1;

const ARRAYS = {
  float64: (values) => Float64Array.from(values, Number),
  int64: (values) => BigInt64Array.from(values, BigInt),
  string: (values) => values,
};

function shown(value) {
  return typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value)) ? String(value) : value;
}

function rows(tensor) {
  const values = Array.from(tensor.data, shown);
  const [count, width] = tensor.dims;
  return width > 1 ? Array.from({ length: count }, (_, row) => values.slice(row * width, (row + 1) * width)) : values;
}

const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(process.argv[2])));
const inputs = JSON.parse(readFileSync(0, "utf8"));
const feeds = Object.fromEntries(
  session.inputMetadata.map(({ name, type }) => [
    name,
    new ort.Tensor(type, ARRAYS[type](inputs[name]), [inputs[name].length, 1]),
  ]),
);
const outputs = await session.run(feeds);
const named = Object.entries(outputs).map(([name, tensor]) => [name, rows(tensor)]);
process.stdout.write(JSON.stringify(Object.fromEntries(named)), () => process.exit(0));
