import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { encodeUtf8 } from './bytes.ts'

/** Streaming SHA-256, for digests of data sets and models. */
export class Digest {
  readonly #hash = sha256.create()

  update(part: Uint8Array | string): this {
    this.#hash.update(typeof part === 'string' ? encodeUtf8(part) : part)
    return this
  }

  /** 64 hexadecimal digits. The digest cannot be updated afterwards. */
  hex(): string {
    return bytesToHex(this.#hash.digest())
  }
}

export const digest = (part: Uint8Array | string): string => new Digest().update(part).hex()
