'use strict'
// Tables in Markdown.

const { PEERS } = require('../peers')
const { TARGETS } = require('../targets')
const { FAULTS, FIGURES, number, spread } = require('./figures')
const { figureOf, ratio, total } = require('./summary')

/** Those that ratios are told against. */
const RIVALS = ['java', 'ali-ons']

const row = (cells) => `| ${cells.join(' | ')} |`
const table = (head, rows) =>
  [row(head), row(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(row)].join('\n')

/** A workload as a table, a peer in each row. */
function tableOf(name, { id, title, figures, peers }, version) {
  const rows = Object.entries(peers)
  const isShown = (figure) => rows.some(([, it]) => figureOf(it, figure))
  const columns = figures.filter((figure) => FIGURES[figure] && isShown(figure))
  const faults = figures.filter((figure) => FAULTS[figure] && isShown(figure) && isTold(figure, rows))
  const rivals = RIVALS.filter((rival) => peers[rival]?.rounds && peers.ours?.rounds)
  const head = [
    'peer',
    ...columns.map((figure) => FIGURES[figure].title),
    ...faults.map((fault) => FAULTS[fault].title),
    ...rivals.map((rival) => `× ${PEERS[rival].title}`),
  ]
  const cells = rows.map(([peer, it]) => {
    const called = peer === 'ours' ? `**${PEERS[peer].title}**` : PEERS[peer].title
    if (it.cannot) return [called, `— ${it.cannot}`, ...Array(Math.max(0, head.length - 2)).fill('')]
    return [
      called,
      ...columns.map((figure) => cell(figureOf(it, figure), FIGURES[figure].digits)),
      ...faults.map((fault) => fault_(it, fault)),
      ...rivals.map((rival) => cell(ratio(it, peers[rival], figures[0]), 2)),
    ]
  })
  const where = version ? ` (RocketMQ ${version})` : ''
  return `### ${id} \`${name}\`: ${title}${where}\n\n${table(head, cells)}`
}

const isTold = (fault, rows) => FAULTS[fault].always || rows.some(([, it]) => total(it, fault) > 0)
const cell = (known, digits) => (known ? spread(known, digits) : '')

function fault_(it, fault) {
  if (!figureOf(it, fault)) return ''
  const count = total(it, fault)
  return count > 0 ? `**${number(count)}**` : '0'
}

/** As many as tell it from what was asked for. */
const digitsOf = ({ median }) => (Number.isInteger(median) || median >= 100 ? 0 : 2)

/** What was asked for, and whether it was reached. */
function targetsOf(workloads) {
  const rows = TARGETS.filter(({ workload }) => workloads[workload]).map((target) => {
    const { known, isReached } = target.judge(workloads)
    return [
      target.title,
      target.asked,
      known ? spread(known, digitsOf(known)) : '',
      known ? (isReached ? 'reached' : '**not reached**') : 'not measured',
    ]
  })
  return table(['target', 'asked', 'measured', ''], rows)
}

module.exports = { tableOf, targetsOf }
