'use strict'
// What is measured: the same for every peer, which runs each round in a process of its own.

/** Bytes of a body. */
const BODY_BYTES = 100

/**
 * @typedef {object} Workload
 * @property {string} title
 * @property {number} messages of one round
 * @property {number} queues of the topic
 * @property {'new' | 'filled'} topic whether each round has one of its own, or all drain the same
 * @property {string[]} peers
 */

/** @type {Record<string, Workload>} */
const WORKLOADS = {
  await: { title: 'one key, each send awaited', messages: 10_000, queues: 1, topic: 'new', peers: ['ours', 'java'] },
  burst: { title: 'one key, no awaits', messages: 100_000, queues: 1, topic: 'new', peers: ['ours', 'java'] },
  keys: { title: '64 keys, closed loop', messages: 60_000, queues: 8, topic: 'new', peers: ['ours', 'java'] },
  drain: {
    title: 'backlog, handler that does nothing',
    messages: 200_000,
    queues: 8,
    topic: 'filled',
    peers: ['ours', 'java'],
  },
  'drain-async': {
    title: 'backlog, asynchronous handler',
    messages: 200_000,
    queues: 8,
    topic: 'filled',
    peers: ['ours'],
  },
}

module.exports = { BODY_BYTES, WORKLOADS }
