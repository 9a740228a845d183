/** The WebAssembly build for the platform at hand (`imports` in package.json); the package declares its own modules in the same way. */
declare module '#wasm' {
  export * from 'onnxruntime-web'
}
