import { tensorType } from '../../ir/index.ts'
import { floats, int, ints, optional, string, strings } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { broadcastShapes } from '../shared/broadcast.ts'
import { likeInputOf, shapeOfMinRank } from '../shared/rules.ts'

export const StringNormalizer = defineOp({
  type: 'StringNormalizer',
  since: [10],
  inputs: ['X'],
  outputs: ['Y'],
  attrs: {
    case_change_action: string('NONE'),
    is_case_sensitive: int(0),
    locale: optional(string()),
    stopwords: strings([]),
  },
  // Stop words are dropped from [C] or [1, C].
  infer: (cx) => [tensorType('string', shapeOfMinRank(cx, 0, 1)?.with(-1, null))],
})

export const StringConcat = defineOp({
  type: 'StringConcat',
  since: [20],
  inputs: ['X', 'Y'],
  outputs: ['Z'],
  infer: (cx) => [tensorType('string', broadcastShapes(cx, [cx.input(0)?.shape, cx.input(1)?.shape]))],
})

export const StringSplit = defineOp({
  type: 'StringSplit',
  since: [20],
  inputs: ['X'],
  outputs: ['Y', 'Z'],
  attrs: { delimiter: optional(string()), maxsplit: optional(int()) },
  infer: (cx) => {
    const shape = cx.input(0)?.shape
    return [tensorType('string', shape && [...shape, null]), tensorType('int64', shape)]
  },
})

export const RegexFullMatch = defineOp({
  type: 'RegexFullMatch',
  since: [20],
  inputs: ['X'],
  outputs: ['Y'],
  attrs: { pattern: optional(string()) },
  infer: likeInputOf('bool'),
})

export const TfIdfVectorizer = defineOp({
  type: 'TfIdfVectorizer',
  since: [9],
  inputs: ['X'],
  outputs: ['Y'],
  attrs: {
    max_gram_length: int(),
    max_skip_count: int(),
    min_gram_length: int(),
    mode: string(),
    ngram_counts: ints(),
    ngram_indexes: ints(),
    pool_int64s: ints([]),
    pool_strings: strings([]),
    weights: floats([]),
  },
  infer: (cx) => {
    const features = Math.max(-1, ...cx.attrs.ngram_indexes) + 1
    return [tensorType('float32', shapeOfMinRank(cx, 0, 1)?.with(-1, features))]
  },
})

export const ImageDecoder = defineOp({
  type: 'ImageDecoder',
  since: [20],
  inputs: ['encoded_stream'],
  outputs: ['image'],
  attrs: { pixel_format: string('RGB') },
  infer: (cx) => [tensorType('uint8', [null, null, cx.attrs.pixel_format === 'Grayscale' ? 1 : 3])],
})
