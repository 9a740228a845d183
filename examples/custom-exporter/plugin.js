import { complete } from 'fewbit'

/** Text in a cell of CSV (RFC 4180). */
const cell = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)

/** One line for each quantized tensor, its scales and zero points separated by spaces. */
const csv = {
  name: 'csv',
  summary: 'scales and zero points as comma-separated values',
  check: (cx) => complete(cx),
  emit({ name, plan, params }) {
    const lines = plan.tensors.map(({ value, role, spec, group }) => {
      const { scale, zeroPoint } = params.get(group)
      const cells = [value, role, `${spec.signed ? '' : 'u'}int${spec.bits}`, scale.join(' '), zeroPoint.join(' ')]
      return cells.map(cell).join(',')
    })
    const text = ['tensor,role,type,scale,zero point', ...lines].join('\n')
    return [{ kind: 'file', name: `${name}.csv`, bytes: new TextEncoder().encode(`${text}\n`) }]
  },
}

export const plugin = { name: 'example-exporter', exporters: [csv] }
