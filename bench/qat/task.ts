import { fileURLToPath } from 'node:url'

/** What the network was trained with. */
export const NORMALIZED = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

/** The float network of `npm run bench:qat:float`. */
export const FLOAT_PATH = fileURLToPath(new URL('../../.cache/qat/resnet20-jpeg.onnx', import.meta.url))
