import { attribute, type Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import type { ZooEntry } from './entry.ts'
import { constant, torchDefault, truncatedNormal } from './initialization.ts'
import type { NetworkWriter } from './network-writer.ts'

const { float, int, ints } = attribute

interface Shape {
  readonly image: number
  readonly patch: number
  readonly width: number
  readonly heads: number
  readonly depth: number
}

const SMALL = truncatedNormal(0.02)
const LAYER_NORM_EPSILON = 1e-6

/**
 * Dosovitskiy et al. 2020: patches as tokens, a class token, blocks that normalize first. Weights of linear layers on tokens stand as MatMul
 * reads them, input channels first; `loadWeights` turns those of PyTorch round.
 */
class VisionTransformer {
  readonly net: NetworkWriter
  readonly shape: Shape

  constructor(net: NetworkWriter, shape: Shape) {
    this.net = net
    this.shape = shape
  }

  write(input: Value, classes: number): Value {
    let x = this.#tokens(input)
    for (let i = 0; i < this.shape.depth; i++) x = this.#block(x, `blocks.${i}`)
    const first = this.#op('Gather', [this.#norm(x, 'norm'), this.net.index('pool.index', 0)], 'pool', { axis: int(1) })
    return this.net.linear(this.net.withChannels(first, this.shape.width), 'head', classes)
  }

  /** N×3×H×W to N×(1 + patches)×width. The class token and all positions are added to a row of zeros before the patches. */
  #tokens(input: Value): Value {
    const { image, patch, width } = this.shape
    const count = (image / patch) ** 2
    const weight = { weight: torchDefault, bias: true, pads: [0, 0, 0, 0] } as const
    const patches = this.net.conv(input, 'patch_embed.proj', { out: width, kernel: patch, stride: patch, ...weight })
    const flat = this.#reshape(patches, [0, 0, count], 'patch_embed.flatten')
    const rows = this.#op('Transpose', [flat], 'patch_embed.transpose', { perm: ints([0, 2, 1]) })
    const token = this.net.parameter('cls_token', [1, 1, width], SMALL([width]))
    const positions = this.net.parameter('pos_embed', [1, count + 1, width], SMALL([width]))
    const padded = this.#op('Pad', [rows, this.net.integers('tokens.pads', [0, 1, 0, 0, 0, 0])], 'tokens.pad')
    const first = this.#op('Pad', [token, this.net.integers('cls_token.pads', [0, 0, 0, 0, count, 0])], 'cls_token.pad')
    const offsets = this.#op('Add', [positions, first], 'pos_embed.add')
    return this.#op('Add', [padded, offsets], 'tokens.add')
  }

  #block(x: Value, name: string): Value {
    const attended = this.#attention(this.#norm(x, `${name}.norm1`), `${name}.attn`)
    const y = this.#op('Add', [x, attended], `${name}.add1`)
    const hidden = this.#dense(this.#norm(y, `${name}.norm2`), `${name}.mlp.fc1`, 4 * this.shape.width)
    const active = this.#op('Gelu', [hidden], `${name}.mlp.act`)
    const out = this.#dense(active, `${name}.mlp.fc2`, this.shape.width, 4 * this.shape.width)
    return this.#op('Add', [y, out], `${name}.add2`)
  }

  #attention(x: Value, name: string): Value {
    const { width, heads } = this.shape
    const size = width / heads
    const together = this.#dense(x, `${name}.qkv`, 3 * width)
    const options = { outputs: 3, name: `${name}.split` }
    const parts = this.net.builder.ops('Split', [together], { axis: int(-1), num_outputs: int(3) }, options)
    const [q, k, v] = ['q', 'k', 'v'].map((part, i) => {
      const split = this.#reshape(must(parts[i], part), [0, 0, heads, size], `${name}.${part}.reshape`)
      const perm = part === 'k' ? [0, 2, 3, 1] : [0, 2, 1, 3]
      return this.#op('Transpose', [split], `${name}.${part}`, { perm: ints(perm) })
    }) as [Value, Value, Value]
    const scaled = this.#op('Mul', [q, this.net.number(`${name}.scale`, size ** -0.5)], `${name}.mul`)
    const scores = this.#op('Softmax', [this.#op('MatMul', [scaled, k], `${name}.scores`)], `${name}.softmax`, {
      axis: int(-1),
    })
    const mixed = this.#op('MatMul', [scores, v], `${name}.mix`)
    const turned = this.#op('Transpose', [mixed], `${name}.transpose`, { perm: ints([0, 2, 1, 3]) })
    return this.#dense(this.#reshape(turned, [0, 0, width], `${name}.reshape`), `${name}.proj`, width)
  }

  #dense(x: Value, name: string, out: number, from = this.shape.width): Value {
    const weight = this.net.parameter(`${name}.weight`, [from, out], SMALL([from, out]))
    const bias = this.net.parameter(`${name}.bias`, [out], constant(0)([out]))
    return this.#op('Add', [this.#op('MatMul', [x, weight], name), bias], `${name}.add`)
  }

  #norm(x: Value, name: string): Value {
    const { width } = this.shape
    const scale = this.net.parameter(`${name}.weight`, [width], constant(1)([width]))
    const shift = this.net.parameter(`${name}.bias`, [width], constant(0)([width]))
    const attributes = { axis: int(-1), epsilon: float(LAYER_NORM_EPSILON) }
    return this.#op('LayerNormalization', [x, scale, shift], name, attributes)
  }

  #reshape(x: Value, sizes: readonly number[], name: string): Value {
    return this.#op('Reshape', [x, this.net.integers(`${name}.shape`, sizes)], name)
  }

  #op(type: string, inputs: readonly Value[], name: string, attributes = {}): Value {
    return this.net.builder.op(type, inputs, attributes, { name })
  }
}

const entry = (
  shape: Shape,
  rest: Pick<ZooEntry, 'title' | 'paper' | 'names' | 'preset' | 'classes' | 'parameters' | 'macs'>,
): ZooEntry => ({
  ...rest,
  input: [3, shape.image, shape.image],
  opset: 20,
  conventions: { epsilon: 1e-5, momentum: 0.9, convWeight: torchDefault, linearWeight: SMALL, bias: constant(0) },
  write: (net, input, classes) => new VisionTransformer(net, shape).write(input, classes),
})

export const DEIT_TINY = entry(
  { image: 224, patch: 16, width: 192, heads: 3, depth: 12 },
  {
    title: 'DeiT-Tiny: vision transformer of 12 blocks, patches of 16 pixels',
    paper: 'Touvron et al. 2020, Training data-efficient image transformers, arXiv:2012.12877',
    names: 'timm (deit_tiny_patch16_224)',
    preset: 'imagenet',
    classes: 1000,
    parameters: 5_717_416,
    macs: 1_253_683_200,
  },
)

export const VIT_CIFAR = entry(
  { image: 32, patch: 4, width: 192, heads: 3, depth: 6 },
  {
    title: 'small vision transformer for CIFAR: 6 blocks, patches of 4 pixels',
    paper: 'Dosovitskiy et al. 2020, An Image is Worth 16x16 Words, arXiv:2010.11929',
    names: 'timm (VisionTransformer)',
    preset: 'cifar10',
    classes: 10,
    parameters: 2_693_578,
    macs: 182_849_664,
  },
)
