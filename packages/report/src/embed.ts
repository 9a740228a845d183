/** Non-finite numbers, which JSON lacks, as objects that no field of a document looks like. */
interface Embedded {
  readonly $number: string
}

const isEmbedded = (value: unknown): value is Embedded =>
  typeof value === 'object' && value !== null && '$number' in value

/** JSON for a script element: no character of it can end the element or begin a comment. Tensor and node names are anybody's text. */
export const embedJson = (value: unknown): string =>
  JSON.stringify(value, (_, v) =>
    typeof v === 'number' && !Number.isFinite(v) ? ({ $number: String(v) } satisfies Embedded) : v,
  ).replaceAll('<', '\\u003c')

export const readEmbedded = (json: string): unknown =>
  JSON.parse(json, (_, v) => (isEmbedded(v) ? Number(v.$number) : v))

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

export const escapeHtml = (text: string): string => text.replace(/[&<>"]/g, (c) => ENTITIES[c] as string)
