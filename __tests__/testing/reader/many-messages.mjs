import { Producer } from 'rocketmq-orderly'

globalThis.producer = await new Producer({ groupId: 'GID_shop', topics: ['orders'] }).start()
globalThis.rows = Array.from({ length: 100 }, (_, row) => ({
  json: JSON.stringify({ row }),
  orderId: `order-${row % 3}`,
}))
globalThis.report = (error) => {
  throw error
}

export const after = () => globalThis.producer.close()
