export { type ChromiumEngine, type ChromiumOptions, chromiumEngine } from './chromium-engine.ts'
export { findChromium } from './find.ts'
