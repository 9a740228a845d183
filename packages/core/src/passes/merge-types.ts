import type { ContainerType, Dim, Shape, TensorType, ValueType } from '../ir/index.ts'
import { unifyDims } from '../ops/shared/dims.ts'

/**
 * What inference found, completed by what the file declares where inference knows nothing.
 * @param contradict called with a sentence where both are known and differ; inference wins.
 */
export function mergeTypes(
  inferred: ValueType | undefined,
  declared: ValueType | undefined,
  contradict: (text: string) => void = () => {},
): ValueType | undefined {
  if (!inferred || !declared) return inferred ?? declared
  if (inferred.kind !== declared.kind) {
    contradict(`is ${inferred.kind}, but is declared as ${declared.kind}`)
    return inferred
  }
  if (inferred.kind === 'map') return { ...declared, ...inferred }
  if ('element' in inferred) return mergeContainers(inferred, declared as ContainerType, contradict)
  return mergeTensors(inferred, declared as TensorType, contradict)
}

function mergeContainers(a: ContainerType, b: ContainerType, contradict: (text: string) => void): ContainerType {
  return { ...b, ...a, element: mergeTypes(a.element, b.element, contradict) }
}

function mergeTensors(a: TensorType, b: TensorType, contradict: (text: string) => void): TensorType {
  if (a.dtype !== b.dtype) contradict(`has elements of type ${a.dtype}, but is declared as ${b.dtype}`)
  if (!a.shape || !b.shape) return { ...b, ...a, shape: a.shape ?? b.shape }
  const conflict = a.shape.length !== b.shape.length || a.shape.some((d, i) => differ(d, b.shape?.[i] ?? null))
  if (conflict) contradict(`has shape ${formatShape(a.shape)}, but is declared as ${formatShape(b.shape)}`)
  if (a.shape.length !== b.shape.length) return a
  return { ...b, ...a, shape: a.shape.map((d, i) => unifyDims(d, b.shape?.[i] ?? null)) }
}

const differ = (a: Dim, b: Dim): boolean => typeof a === 'number' && typeof b === 'number' && a !== b

const formatShape = (shape: Shape): string => `[${shape.map((d) => d ?? '?').join(', ')}]`
