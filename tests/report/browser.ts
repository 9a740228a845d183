import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const CANDIDATES = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/usr/bin/chromium-browser']

/** Chromium of the system; undefined where there is none. */
export const chromiumPath = CANDIDATES.find((path): path is string => path !== undefined && existsSync(path))

/** Root, which containers run as, has no sandbox to give. */
const SANDBOX = process.getuid?.() === 0 ? ['--no-sandbox'] : []

export const launch = (args: readonly string[] = []): Promise<Browser> =>
  chromium.launch({ executablePath: chromiumPath as string, args: [...SANDBOX, ...args] })
