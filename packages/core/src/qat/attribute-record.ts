import { type Attribute, attribute } from '../ir/index.ts'
import { decodeUtf8, invariant } from '../util/index.ts'
import type { AttributeRecord } from './record.ts'

/** Attributes of a fake-quantizer's node as they stand in JSON. */
export const attributeRecords = (
  attributes: Readonly<Record<string, Attribute>>,
): Readonly<Record<string, AttributeRecord>> =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, attributeRecord(name, value)]))

function attributeRecord(name: string, given: Attribute): AttributeRecord {
  if (given.kind === 'float') return { kind: 'float', value: given.value }
  if (given.kind === 'int') return { kind: 'int', value: Number(given.value) }
  if (given.kind === 'string') return { kind: 'string', value: decodeUtf8(given.value) }
  if (given.kind === 'floats') return { kind: 'floats', value: given.value }
  invariant(given.kind === 'ints', () => `attribute "${name}" of kind ${given.kind} has no form in JSON`)
  return { kind: 'ints', value: given.value.map(Number) }
}

export function attributeOf(record: AttributeRecord): Attribute {
  if (record.kind === 'float') return attribute.float(record.value)
  if (record.kind === 'int') return attribute.int(record.value)
  if (record.kind === 'string') return attribute.string(record.value)
  if (record.kind === 'ints') return attribute.ints(record.value)
  return attribute.floats(record.value)
}
