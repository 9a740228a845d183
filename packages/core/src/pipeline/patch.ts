import type { AlgorithmRequest } from '../algorithms/index.ts'
import { type Override, overrideText } from '../quant/index.ts'
import type { QuantizeOptions } from './quantize.ts'

/** What a trial or a remedy adds to somebody's options. */
export interface Patch {
  readonly algorithms?: readonly AlgorithmRequest[]
  readonly floatNodes?: readonly string[]
  readonly overrides?: readonly Override[]
  readonly observer?: string
  readonly perTensor?: boolean
  readonly activations?: 'signed' | 'unsigned'
}

/** The options with a patch over them. */
export function patched(options: QuantizeOptions, patch: Patch): QuantizeOptions {
  const { algorithms = [], floatNodes = [], overrides = [], observer, perTensor, activations } = patch
  const { algorithms: given = [], floatNodes: kept = [], overrides: stated = [], calibration } = options
  const asked = new Set(given.map((request) => (typeof request === 'string' ? request : request.name)))
  return {
    ...options,
    algorithms: [...given, ...algorithms.filter(({ name }) => !asked.has(name))],
    floatNodes: [...new Set([...kept, ...floatNodes])],
    // Later overrides win, and the user's own are not to be undone.
    overrides: [...overrides, ...stated],
    ...(observer === undefined ? {} : { calibration: withObserver(calibration, observer) }),
    ...(perTensor === undefined ? {} : { perTensor }),
    ...(activations === undefined ? {} : { activations }),
  }
}

/** Options of the observer before are not those of another. */
function withObserver(
  { observerOptions: _, ...calibration }: QuantizeOptions['calibration'],
  observer: string,
): QuantizeOptions['calibration'] {
  return { ...calibration, observer }
}

/** Two patches as one. */
export function joined(a: Patch, b: Patch): Patch {
  const names = new Set(a.algorithms?.map(({ name }) => name))
  return {
    ...a,
    ...b,
    algorithms: [...(a.algorithms ?? []), ...(b.algorithms ?? []).filter(({ name }) => !names.has(name))],
    floatNodes: [...new Set([...(a.floatNodes ?? []), ...(b.floatNodes ?? [])])],
    overrides: [...(a.overrides ?? []), ...(b.overrides ?? [])],
  }
}

/** The patch as flags of `fewbit quantize`. */
export function patchText(patch: Patch): string {
  const { algorithms = [], floatNodes = [], overrides = [], observer, perTensor, activations } = patch
  const flags = [
    ...algorithms.map((request) => `--algorithm ${algorithmText(request)}`),
    ...floatNodes.map((name) => `--override ${quoted(`name=${name}:float`)}`),
    ...overrides.map((override) => `--override ${quoted(overrideText(override))}`),
    ...(observer === undefined ? [] : [`--observer ${observer}`]),
    ...(perTensor === undefined ? [] : [perTensor ? '--per-tensor' : 'without --per-tensor']),
    ...(activations === undefined ? [] : [`--activations ${activations}`]),
  ]
  return flags.join(' ')
}

function algorithmText({ name, options = {} }: AlgorithmRequest): string {
  const given = Object.entries(options).map(([key, value]) => `${key}=${value}`)
  return given.length > 0 ? `${name}:${given.join(',')}` : name
}

/** For a shell, where a name holds anything that it would read. */
const quoted = (text: string): string => (/^[\w./:=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)
