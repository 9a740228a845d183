import { asTensor, type Node, replaceAllUses, Tensor, tensorType, type Value } from '../ir/index.ts'
import { dequantize, type QuantParams, quantize } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { constantOf, type ImportContext, isDequantize, isQuantize, keep, plainName } from './context.ts'
import { earlyCodes } from './early-codes.ts'
import { isFakeQuantize, readFakeQuantize } from './fake-quantize.ts'
import { type Quantizer, readQuantizer, sameParams } from './quantizer.ts'

/** A tensor of the float network that the file quantizes, in one form. */
export interface Entry {
  readonly value: Value
  readonly quantizer: Quantizer
  readonly readers: Set<Node>
  graphOutput: boolean
}

/**
 * Takes the quantizers out of the main graph, in its order, and returns what they did. The float network is what is left: constants
 * hold the values of their codes, and whoever read a dequantized tensor reads the tensor.
 */
export function collectEntries(cx: ImportContext): Entry[] {
  const collector = new Collector(cx)
  for (const node of [...cx.graph.nodes]) {
    if (node.graph !== cx.graph) continue
    if (isQuantize(node)) collector.quantize(node)
    else if (isDequantize(node)) collector.dequantize(node)
    else if (isFakeQuantize(node)) collector.fakeQuantize(node)
  }
  // What nothing reads was dead in the file.
  return collector.entries.filter((e) => e.readers.size > 0 || e.graphOutput)
}

class Collector {
  readonly entries: Entry[] = []
  readonly #byValue = new Map<Value, Entry[]>()
  readonly #cx: ImportContext

  constructor(cx: ImportContext) {
    this.#cx = cx
  }

  /** QuantizeLinear and the DequantizeLinear nodes behind it. */
  quantize(node: Node): void {
    const codes = must(node.outputs[0], 'output of QuantizeLinear')
    const found = this.#read(node, (quantizer) => this.#strayReader(codes, quantizer))
    if (!found) return
    const early = earlyCodes(node, found, this.#cx)
    const value = early?.value ?? must(node.inputs[0], 'input of QuantizeLinear')
    const entry = this.#entry(value, early?.quantizer ?? found)
    for (const dequantize of codes.consumers()) this.#bypass(dequantize, value, entry)
    if (this.#cx.graph.isOutput(codes)) this.#openOutput(codes, value, entry)
    this.#cx.graph.remove(node)
    if (early) this.#cx.graph.remove(early.clip)
  }

  /** DequantizeLinear on codes that the file stores, or that the caller gives. */
  dequantize(node: Node): void {
    const codes = must(node.inputs[0], 'input of DequantizeLinear')
    if (codes.producer && isQuantize(codes.producer)) return
    const data = constantOf(codes, this.#cx.graph)
    const quantizer = this.#read(node, (found) => {
      if (data) return undefined
      return codes.producer || codes.constant ? 'its codes come from no quantizer' : this.#strayReader(codes, found)
    })
    if (!quantizer) return
    const readers = codes.consumers().filter((reader) => this.#reverses(reader, codes, quantizer))
    if (data) this.#stored(codes, data, quantizer, readers)
    else this.#openInput(codes, quantizer, readers)
  }

  /** Both in one node, which leaves constants in float. */
  fakeQuantize(node: Node): void {
    const value = must(node.inputs[0], 'input of FakeQuantize')
    const quantizer = this.#read(node, () => undefined)
    if (quantizer) this.#bypass(node, value, this.#entry(value, quantizer))
  }

  /** The quantizer, unless something stands in the way; then the node is kept and reported. */
  #read(node: Node, obstacle: (found: Quantizer) => string | undefined): Quantizer | undefined {
    const found = isFakeQuantize(node) ? readFakeQuantize(node, this.#cx) : readQuantizer(node, this.#cx)
    const why = typeof found === 'string' ? found : obstacle(found)
    if (why !== undefined) keep(node, why, this.#cx)
    return why !== undefined || typeof found === 'string' ? undefined : found
  }

  /** Who reads codes otherwise than to take them back, as a sentence. */
  #strayReader(codes: Value, quantizer: Quantizer): string | undefined {
    const stray = codes.consumers().find((reader) => !this.#reverses(reader, codes, quantizer))
    return stray && `its codes are read by ${stray.qualifiedType} "${stray.name}" as well`
  }

  #reverses(reader: Node, codes: Value, quantizer: Quantizer): boolean {
    if (!isDequantize(reader) || reader.inputs[0] !== codes || reader.graph !== this.#cx.graph) return false
    const own = readQuantizer(reader, this.#cx)
    return typeof own !== 'string' && sameParams(own.params, quantizer.params)
  }

  #entry(value: Value, quantizer: Quantizer): Entry {
    const forms = this.#byValue.get(value) ?? []
    const known = forms.find((e) => sameParams(e.quantizer.params, quantizer.params))
    if (known) return known
    const entry = { value, quantizer, readers: new Set<Node>(), graphOutput: false }
    this.entries.push(entry)
    this.#byValue.set(value, [...forms, entry])
    return entry
  }

  /** Readers of a dequantized tensor read the tensor itself. */
  #bypass(dequantize: Node, value: Value, entry: Entry): void {
    const { graph } = this.#cx
    const real = must(dequantize.outputs[0], 'output of DequantizeLinear')
    for (const reader of real.consumers()) {
      if (isQuantize(reader)) this.#reportAgain(reader, value, entry)
      else this.#addReader(reader, value, entry)
    }
    const wasOutput = graph.isOutput(real)
    replaceAllUses(real, value)
    graph.remove(dequantize)
    if (!wasOutput) return
    if (graph.isOutput(value)) entry.graphOutput = true
    // A name that could not be handed on is carried by an Identity, which reads the quantized tensor.
    else for (const reader of value.consumers()) if (reader.opType === 'Identity') entry.readers.add(reader)
  }

  #addReader(reader: Node, value: Value, entry: Entry): void {
    if (reader.inputs.includes(value) && !entry.readers.has(reader)) {
      const text = `"${reader.name}" reads "${value.name}" in two forms, and the plan gives it one`
      this.#cx.diagnostics.warn('IMPORT_MIXED', text, { at: { node: reader.name, value: value.name } })
    }
    entry.readers.add(reader)
  }

  #reportAgain(quantize: Node, value: Value, entry: Entry): void {
    const again = readQuantizer(quantize, this.#cx)
    if (typeof again === 'string' || sameParams(again.params, entry.quantizer.params)) return
    const text = `"${value.name}" is quantized twice in a row; the plan holds the second scale alone for its readers`
    this.#cx.diagnostics.info('IMPORT_REQUANTIZED', text, { at: { value: value.name, node: quantize.name } })
  }

  #stored(codes: Value, data: Tensor, quantizer: Quantizer, readers: readonly Node[]): void {
    const { graph, names } = this.#cx
    const real = dequantize(data.numbers(), quantizer.params, [...data.dims])
    this.#checkExact(codes, data, real, quantizer.params)
    const tensor = Tensor.float32(data.dims, real)
    const isShared = readers.length < codes.consumers().length || graph.isOutput(codes)
    const plain = plainName(codes.name)
    const name = isShared || plain !== codes.name ? names.value(plain) : plain
    const value = isShared ? graph.addInitializer(name, tensor) : codes
    value.name = name
    value.constant = tensor
    value.type = tensorType('float32', data.dims)
    const entry = this.#entry(value, quantizer)
    for (const reader of readers) this.#bypass(reader, value, entry)
  }

  /** Codes beyond 2^24 are more than float32 tells apart. */
  #checkExact(codes: Value, data: Tensor, real: Float32Array, params: QuantParams): void {
    const again = quantize(real, params, [...data.dims])
    const numbers = data.numbers()
    const differ = numbers.filter((q, i) => again[i] !== q).length
    if (differ === 0) return
    const text = `${differ} of ${numbers.length} codes of "${codes.name}" are not what their float32 values quantize to`
    this.#cx.diagnostics.warn('IMPORT_INEXACT', text, { at: { value: codes.name } })
  }

  #openInput(codes: Value, quantizer: Quantizer, readers: readonly Node[]): void {
    const dtype = asTensor(codes.type)?.dtype ?? 'codes'
    codes.type = tensorType('float32', asTensor(codes.type)?.shape)
    const entry = this.#entry(codes, quantizer)
    for (const reader of readers) this.#bypass(reader, codes, entry)
    this.#reportInterface(`the input "${codes.name}" took ${dtype} codes, and takes real values now`, codes)
  }

  #openOutput(codes: Value, value: Value, entry: Entry): void {
    replaceAllUses(codes, value)
    entry.graphOutput = true
    this.#reportInterface(`the output "${value.name}" was codes, and is real values now`, value)
  }

  #reportInterface(text: string, value: Value): void {
    this.#cx.diagnostics.warn('IMPORT_INTERFACE', text, {
      at: { value: value.name },
      fix: 'multiply by the scale that the parameters name where codes are wanted',
    })
  }
}
