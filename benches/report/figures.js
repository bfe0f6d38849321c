'use strict'
// How figures are called, and written.

/** @type {Record<string, { title: string, digits: number, unit?: string, lower?: boolean }>} `lower`: less is better */
const FIGURES = {
  perSecond: { title: 'messages/s', digits: 0 },
  mibPerSecond: { title: 'MiB/s', digits: 0 },
  p50Micros: { title: 'p50 µs', digits: 0, lower: true },
  p99Micros: { title: 'p99 µs', digits: 0, lower: true },
  p999Micros: { title: 'p99.9 µs', digits: 0, lower: true },
  cpuMicros: { title: 'CPU µs/message', digits: 1, lower: true },
  perRequest: { title: 'messages/request', digits: 1 },
  delayP50: { title: 'loop delay p50 ms', digits: 1, lower: true },
  delayP99: { title: 'loop delay p99 ms', digits: 1, lower: true },
  delayMax: { title: 'loop delay max ms', digits: 0, lower: true },
  timerP99: { title: '10 ms timer late p99 ms', digits: 1, lower: true },
  rssMiB: { title: 'RSS MiB', digits: 0, lower: true },
  sentRssMiB: { title: 'RSS after sends MiB', digits: 0, lower: true },
  handledRssMiB: { title: 'RSS after handling MiB', digits: 0, lower: true },
  peakRssMiB: { title: 'peak RSS MiB', digits: 0, lower: true },
  heapMiB: { title: 'heap and external MiB', digits: 1, lower: true },
  messages: { title: 'messages', digits: 0 },
  coldMs: { title: 'first acknowledgement ms', digits: 0, lower: true },
  installMiB: { title: 'installed MiB', digits: 1, lower: true },
  addonMB: { title: 'addon MB', digits: 2, lower: true },
  leaveMs: { title: 'left: ms', digits: 0, lower: true },
  crashMs: { title: 'killed: ms', digits: 0, lower: true },
  restartMs: { title: 'broker restarted: ms', digits: 0, lower: true },
}

/** What should not happen: sums over all rounds, shown where there is something to show. `always`: a zero, too. */
const FAULTS = {
  inversions: { title: 'inversions', always: true },
  spreadKeys: { title: 'keys in several queues' },
  duplicates: { title: 'stored twice' },
  missing: { title: 'missing' },
  failed: { title: 'failed' },
}

/** With thin spaces between thousands. */
function number(value, digits = 0) {
  const [whole, rest] = value.toFixed(digits).split('.')
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, '\u202f')
  return rest ? `${grouped}.${rest}` : grouped
}

/** `median (least–greatest)`. */
function spread({ median, min, max }, digits) {
  if (min === max) return number(median, digits)
  return `${number(median, digits)} (${number(min, digits)}–${number(max, digits)})`
}

module.exports = { FAULTS, FIGURES, number, spread }
