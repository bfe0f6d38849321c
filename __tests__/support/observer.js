'use strict'
// Somebody who observes channels of `node:diagnostics_channel` until the test ends.

const { subscribe, tracingChannel, unsubscribe } = require('node:diagnostics_channel')

const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error']
const open = new Set()

/**
 * Hears a tracing channel.
 * @param {string} name
 * @param {(event: string, trace: any) => void} hear
 */
function observe(name, hear) {
  const channel = tracingChannel(name)
  const subscribers = Object.fromEntries(EVENTS.map((event) => [event, (trace) => hear(event, trace)]))
  channel.subscribe(subscribers)
  open.add(() => channel.unsubscribe(subscribers))
}

/**
 * Hears a plain channel.
 * @param {string} name
 * @param {(message: any) => void} hear
 */
function observePlain(name, hear) {
  const listener = (message) => hear(message)
  subscribe(name, listener)
  open.add(() => unsubscribe(name, listener))
}

/**
 * Binds a store to the `start` of a tracing channel.
 * @param {string} name
 * @param {import('node:async_hooks').AsyncLocalStorage<any>} store
 * @param {(trace: any) => any} [transform]
 */
function bind(name, store, transform = (trace) => trace) {
  const { start } = tracingChannel(name)
  start.bindStore(store, transform)
  open.add(() => start.unbindStore(store))
}

afterEach(() => {
  for (const close of open) close()
  open.clear()
})

module.exports = { bind, observe, observePlain }
