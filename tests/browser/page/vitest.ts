/** What test files take from vitest, in a page: its runner and its matchers without the rest of it. */
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  customMatchers,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from '@vitest/expect'

export { afterAll, afterEach, beforeAll, beforeEach, describe, it, test } from '@vitest/runner'

chai.use(JestExtend)
chai.use(JestChaiExpect)
chai.use(JestAsymmetricMatchers)

const shared = globalThis as unknown as Record<symbol, object>
const assertion = (value: unknown, message?: string) => chai.expect(value, message)
const unreachable = (message?: string): never => chai.assert.fail(message ?? 'this should not be reached')

export const expect = Object.assign(assertion, chai.expect, shared[ASYMMETRIC_MATCHERS_OBJECT], {
  soft: assertion,
  unreachable,
})
shared[GLOBAL_EXPECT] = expect
const withExtend = chai.expect as unknown as { extend(onto: unknown, matchers: unknown): void }
withExtend.extend(expect, customMatchers)
setState({ assertionCalls: 0 }, expect as never)

/** Modules are bundled before tests could ask for others in their place. */
export const vi = { mock: (): void => undefined }
