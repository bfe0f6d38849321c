'use strict'
// What is asked of this package, in the figures of one run: the medians are judged.

const { number } = require('./report/figures')
const { figureOf, ratio, summary, total } = require('./report/summary')

/**
 * @typedef {object} Target
 * @property {string} title
 * @property {string} asked
 * @property {string} workload
 * @property {(workloads: object) => { known?: { median: number, min: number, max: number }, isReached?: boolean }} judge
 */

const judged = (known, limit, isMost) => ({
  known,
  isReached: known && (isMost ? known.median <= limit : known.median >= limit),
})

/** A figure of ours against a number. */
const figure = (workload, figure, title, limit, { isMost = false } = {}) => ({
  title: `\`${workload}\`: ${title}`,
  asked: `${isMost ? '≤' : '≥'} ${number(limit, Number.isInteger(limit) ? 0 : 1)}`,
  workload,
  judge: (workloads) => judged(figureOf(workloads[workload].peers.ours, figure), limit, isMost),
})

/** A figure of ours against that of a rival in the same round; `of`: in another workload. */
const against = (workload, figure, title, rival, limit, { isMost = false, of = workload } = {}) => ({
  title: `\`${workload}\`: ${title}`,
  asked: `${isMost ? '≤' : '≥'} ${limit} ×`,
  workload,
  judge: (workloads) =>
    judged(ratio(workloads[workload].peers.ours, workloads[of]?.peers[rival], figure), limit, isMost),
})

/** Not one message out of order, in any round. */
const inOrder = (workload) => ({
  title: `\`${workload}\`: inversions`,
  asked: '0',
  workload,
  judge(workloads) {
    const { ours } = workloads[workload].peers
    const count = total(ours, 'inversions')
    return judged(ours?.rounds && summary([count]), 0, true)
  },
})

const DRAIN = ['drain', 'drain-async']
const most = { isMost: true }

/** @type {Target[]} */
const TARGETS = [
  against('await', 'p50Micros', 'p50 against Java', 'java', 1, most),
  figure('burst', 'perSecond', 'messages/s', 140_000),
  inOrder('burst'),
  figure('burst-2000', 'delayP99', 'loop delay p99 ms', 5, most),
  figure('burst-20000', 'delayP50', 'loop delay p50 ms', 3, most),
  figure('burst-20000', 'delayP99', 'loop delay p99 ms', 30, most),
  against('keys-64', 'perSecond', 'messages/s against Java', 'java', 3),
  figure('keys-64', 'delayP99', 'loop delay p99 ms', 3, most),
  ...DRAIN.flatMap((workload) => [
    against(workload, 'perSecond', 'messages/s against Java', 'java', 2, { of: 'drain' }),
    against(workload, 'perSecond', 'messages/s against ali-ons', 'ali-ons', 3, { of: 'drain' }),
    figure(workload, 'cpuMicros', 'CPU µs/message', 6, most),
    figure(workload, 'delayP99', 'loop delay p99 ms', 5, most),
    figure(workload, 'rssMiB', 'RSS MiB', 100, most),
    inOrder(workload),
  ]),
  figure('drain-1000', 'delayP99', 'loop delay p99 ms', 5, most),
  against('drain-1000', 'cpuMicros', 'CPU a message against 8 queues', 'ours', 1.3, { ...most, of: 'drain' }),
  inOrder('drain-1000'),
  figure('cold', 'addonMB', 'the addon, MB', 2.5, most),
]

module.exports = { TARGETS }
