'use strict'
// Attempts to connect that somebody observes: they are native's, which tells of them as they happen.

const { connects, serverOf } = require('../channels.js')
const { RocketMQError, errorFrom } = require('../errors.js')

/**
 * @typedef {import('../channels').Operation<import('../../../index').ConnectTrace>} Operation
 * @typedef {import('../native-surface').NativeEvent} NativeEvent
 */

class Connects {
  /** Under way, by whom they go to. @type {Map<string, Operation>} */
  #underWay = new Map()

  /**
   * @param {any} client
   * @param {NativeEvent & { address: string, server: 'broker' | 'nameServer' }} event
   */
  begin(client, { address, server }) {
    if (!connects.isObserved) return
    const { clientId, groupId } = client
    const operation = connects.of({ client, clientId, groupId, server, ...serverOf(address) })
    this.#underWay.set(`${server} ${address}`, operation)
    operation.begin(() => {})
  }

  /**
   * @param {NativeEvent & { address: string, server: 'broker' | 'nameServer' }} event
   * @param {import('../errors').NativeError} [error]
   */
  end({ address, server }, error) {
    const name = `${server} ${address}`
    const operation = this.#underWay.get(name)
    if (operation === undefined) return
    this.#underWay.delete(name)
    over(operation, error === undefined ? undefined : errorFrom(error))
  }

  /** The client is no longer there to be told. */
  abandon() {
    for (const operation of this.#underWay.values()) {
      over(operation, new RocketMQError('ERR_ROCKETMQ_CLOSED', 'the client was closed before there was a connection'))
    }
    this.#underWay.clear()
  }
}

/**
 * @param {Operation} operation
 * @param {Error | undefined} error
 */
function over(operation, error) {
  if (error !== undefined) Object.assign(operation.trace, { error })
  operation.over()
}

module.exports = { Connects }
