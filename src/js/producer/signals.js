'use strict'
// The signals that callers gave to their sends: one listener each, however many sends share it.

/**
 * @template S
 */
class Signals {
  /** @type {(sends: S[]) => void} */
  #aborted
  /** @type {Map<AbortSignal, { listener: () => void, sends: Set<S> }>} */
  #watched = new Map()

  /** @param {(sends: S[]) => void} aborted called once with all that wait for the signal */
  constructor(aborted) {
    this.#aborted = aborted
  }

  /**
   * @param {AbortSignal} signal that has not fired yet
   * @param {S} send
   */
  watch(signal, send) {
    let watched = this.#watched.get(signal)
    if (watched === undefined) {
      watched = { listener: () => this.#fired(signal), sends: new Set() }
      this.#watched.set(signal, watched)
      signal.addEventListener('abort', watched.listener, { once: true })
    }
    watched.sends.add(send)
  }

  /**
   * @param {AbortSignal} signal
   * @param {S} send that is settled
   */
  unwatch(signal, send) {
    const watched = this.#watched.get(signal)
    if (watched === undefined) return
    watched.sends.delete(send)
    if (watched.sends.size > 0) return
    this.#watched.delete(signal)
    try {
      signal.removeEventListener('abort', watched.listener)
    } catch {
      // Not one of Node's own; the others of its run shall be settled all the same.
    }
  }

  /** @param {AbortSignal} signal */
  #fired(signal) {
    const watched = this.#watched.get(signal)
    if (watched === undefined) return
    this.#watched.delete(signal)
    this.#aborted([...watched.sends])
  }
}

module.exports = { Signals }
