import type { AnalysisReport } from '@fewbit/core/analysis'
import { SCRIPT, STYLE } from '@fewbit/report/page'
import { embedJson, escapeHtml } from './embed.ts'

/** Nothing may be fetched from anywhere; script and style are those of the file itself. */
const POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"

/** One HTML file that shows an analysis and needs nothing else: no network, no server, no other file. */
export function renderReport(report: AnalysisReport): string {
  const title = `${report.model?.quantized.name ?? 'Quantized network'}: fewbit analysis`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="generator" content="fewbit ${escapeHtml(report.versions.fewbit)}">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<noscript><p>This report is drawn by the script inside of it, which is switched off here.</p></noscript>
<script type="application/json" id="analysis">${embedJson(report)}</script>
<script>${SCRIPT}</script>
</body>
</html>
`
}
