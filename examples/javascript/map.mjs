// An exported model in JavaScript, without Python and without Fociscope.
//
//     fociscope export layers-ab --to bioimageio -o layers-ab.zip && unzip layers-ab.zip -d layers-ab
//     npm install && node map.mjs layers-ab
//
// Reads captures and model from the package, prints the layers that the model finds in each capture,
// and holds every output against the test tensor of the package. In a browser, `fetch` in place of
// `readFile` is all that changes.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import * as ort from "onnxruntime-web";

/** Read a .npy file of little-endian float32 in C order: {data, dims}. */
async function readNpy(path) {
  const bytes = await readFile(path);
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString("latin1", 10, start);
  if (!header.includes("'<f4'") || header.includes("'fortran_order': True")) {
    throw new Error(`${path}: not float32 in C order`);
  }
  const dims = header.match(/'shape': \(([^)]*)\)/)[1].split(",").filter((n) => n.trim()).map(Number);
  return { data: new Float32Array(bytes.buffer.slice(bytes.byteOffset + start)), dims };
}

/** Return the largest difference of two arrays as a share of the largest value. */
function difference(found, expected) {
  let largest = 0;
  let scale = 0;
  for (let n = 0; n < expected.length; n++) {
    largest = Math.max(largest, Math.abs(found[n] - expected[n]));
    scale = Math.max(scale, Math.abs(expected[n]));
  }
  return largest / scale;
}

const folder = process.argv[2];
if (!folder) {
  console.error("usage: node map.mjs FOLDER (an unpacked package of fociscope export --to bioimageio)");
  process.exit(2);
}
ort.env.wasm.numThreads = 1; // more need a page that is isolated across origins
const session = await ort.InferenceSession.create(await readFile(join(folder, "model.onnx")));
const { data, dims } = await readNpy(join(folder, "captures.npy"));
const begin = performance.now();
const map = await session.run({ captures: new ort.Tensor("float32", data, dims) });
console.log(`${dims[0]} captures of ${dims[3]}x${dims[2]} pixels in ${(performance.now() - begin).toFixed(0)} ms`);

const [captures, layers] = map.presence.dims;
for (let capture = 0; capture < captures; capture++) {
  for (let layer = 0; layer < layers; layer++) {
    const n = capture * layers + layer;
    const pixels = dims[2] * dims[3];
    const cells = map.probability.data.subarray(n * pixels, (n + 1) * pixels).filter((p) => p > 0.5).length;
    const depth = `${map.depth_um.data[n].toFixed(0)} +- ${map.depth_std_um.data[n].toFixed(0)} um`;
    const found = map.presence.data[n] >= 0.5 ? `${depth}, cells on ${((100 * cells) / pixels).toFixed(1)} %` : "absent";
    console.log(`capture ${capture + 1}, layer ${layer + 1}: ${found}`);
  }
}

let worst = 0;
for (const name of session.outputNames) {
  const expected = await readNpy(join(folder, `${name}.npy`));
  const apart = difference(map[name].data, expected.data);
  console.log(`${name}: differs from the package by ${apart.toExponential(1)} of its largest value`);
  worst = Math.max(worst, apart);
}
process.exit(worst < 1e-4 ? 0 : 1);
