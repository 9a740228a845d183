/**
 * Official onnxruntime binaries report usage (model hashes among it) to Microsoft since 1.29 on Linux, unless this variable
 * is set before the library is loaded. fewbit promises that no data leave the machine, so every import of onnxruntime-node
 * stands behind an import of this file. Whoever wants the reports sets the variable to 0.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1'
