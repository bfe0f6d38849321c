'use strict'
// A chart as SVG: a panel for each workload, a bar for each peer. Legible on light and dark pages, and without colours.

const { PEERS } = require('../peers')
const { FIGURES, number } = require('./figures')
const { figureOf, total } = require('./summary')

const WIDTH = 860
const MARGIN = 16
const LABELS = 190
const VALUES = 200
const BARS = WIDTH - 2 * MARGIN - LABELS - VALUES
const ROW = 22
const BAR = 14
const HEAD = 40
const GAP = 18

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .head { font-weight: 600; font-size: 13px } .faint { fill: #57606a } .wrong { fill: #b3261e; font-weight: 600 }
  .page { fill: #ffffff } .bar { fill: #8c959f } .ours { fill: #0b6bcb } .limit { fill: none; stroke: #8c959f; stroke-dasharray: 3 2 }
  .reach { stroke: #24292f; stroke-width: 1.2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .faint { fill: #9198a1 } .wrong { fill: #ff8a80 }
    .page { fill: #0d1117 } .bar { fill: #656d76 } .ours { fill: #4aa3ff } .limit { stroke: #656d76 } .reach { stroke: #e6edf3 }
  }`

const escape = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
const label = (x, y, text, kind = '', anchor = 'start') =>
  `<text x="${x}" y="${y}" class="${kind}" text-anchor="${anchor}">${escape(text)}</text>`

function bar(peer, row, figure, scale, y) {
  const left = MARGIN + LABELS
  const name = label(left - 8, y + 11, PEERS[peer].title, peer === 'ours' ? 'head' : '', 'end')
  const known = figureOf(row, figure)
  if (!known) return name + label(left, y + 11, (row.cannot ?? 'not measured').replaceAll('`', ''), 'faint')
  const kind = { ours: 'ours', limit: 'limit', 'limit-batch': 'limit' }[peer] ?? 'bar'
  const [from, to, middle] = [known.min, known.max, known.median].map((value) => (left + value * scale).toFixed(1))
  const width = Math.max(1, known.median * scale).toFixed(1)
  const inversions = total(row, 'inversions')
  const wrong = inversions > 0 ? `<tspan class="wrong"> ${number(inversions)} inversions</tspan>` : ''
  return [
    name,
    `<rect x="${left}" y="${y}" width="${width}" height="${BAR}" rx="2" class="${kind}"/>`,
    `<path d="M${from} ${y + BAR / 2}H${to}" class="reach"/>`,
    `<text x="${Math.max(Number(to), Number(middle)) + 8}" y="${y + 11}">${number(known.median, FIGURES[figure].digits)}${wrong}</text>`,
  ].join('')
}

/** One workload; its first figure is the one that counts. */
function panel(name, { id, title, figures, peers }, top) {
  const [figure] = figures
  const rows = Object.entries(peers)
  const most = Math.max(...rows.map(([, row]) => figureOf(row, figure)?.max ?? 0)) || 1
  const { title: unit, lower } = FIGURES[figure]
  const drawn = rows.map(([peer, row], i) => bar(peer, row, figure, BARS / most, top + HEAD + i * ROW))
  return {
    height: HEAD + rows.length * ROW + GAP,
    svg: [
      label(MARGIN, top + 14, `${id} ${name}`, 'head'),
      label(MARGIN, top + 30, `${title} — ${unit}, ${lower ? 'less' : 'more'} is better`, 'faint'),
      ...drawn,
    ].join('\n'),
  }
}

/** @param {{ version: string, workloads: object }} report */
function chart({ version, workloads }) {
  let top = MARGIN + 24
  const panels = Object.entries(workloads).map(([name, workload]) => {
    const { height, svg } = panel(name, workload, top)
    top += height
    return svg
  })
  const height = top + MARGIN
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>Benchmarks on RocketMQ ${version}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect width="${WIDTH}" height="${height}" class="page"/>`,
    label(MARGIN, MARGIN + 6, `RocketMQ ${version}: medians; the line from the least to the greatest`, 'head'),
    ...panels,
    '</svg>',
    '',
  ].join('\n')
}

module.exports = { chart }
