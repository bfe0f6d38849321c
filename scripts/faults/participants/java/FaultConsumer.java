import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** A member of a group, in order, with the client's own defaults. */
final class FaultConsumer implements FaultPeer.Role {
    /** As long as ours waits for its handlers when it is closed; the client's default is not to wait. */
    private static final long CLOSE_MS = 5_000;
    private static final int MOST_STARTS = 10;
    /** As handlers of ours go wrong: so many of a hundred messages, until this attempt; the shortest pause that the client knows. */
    private static final int TROUBLED = 3;
    private static final int LAST_ATTEMPT = 3;
    private static final long SUSPEND_MS = 10;

    private final double handlerMs;
    private final boolean isTroubled;
    private final FaultHistory history;
    private final DefaultMQPushConsumer consumer;

    FaultConsumer(FaultPart part) throws Exception {
        handlerMs = part.number("handlerMs");
        isTroubled = part.text("handler").equals("troubled");
        history = new FaultHistory(part.text("history"));
        DefaultMQPushConsumer consumer = consumer(part);
        history.hello("consumer", consumer.buildMQClientId(), consumer.getConsumerGroup());
        this.consumer = started(part, consumer);
    }

    private DefaultMQPushConsumer consumer(FaultPart part) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(part.text("group"));
        consumer.setNamesrvAddr(part.text("nameServer"));
        consumer.setInstanceName(history.by);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAwaitTerminationMillisWhenShutdown(CLOSE_MS);
        if (isTroubled) {
            consumer.setSuspendCurrentQueueTimeMillis(SUSPEND_MS);
        }
        consumer.subscribe(part.text("topic"), "*");
        consumer.registerMessageListener((MessageListenerOrderly) this::handle);
        return consumer;
    }

    /** A busy machine, or a fault, may not let it start at once; its user tries again. */
    private DefaultMQPushConsumer started(FaultPart part, DefaultMQPushConsumer first) throws Exception {
        DefaultMQPushConsumer consumer = first;
        for (int attempt = 1;; attempt++) {
            try {
                consumer.start();
                return consumer;
            } catch (MQClientException | IllegalStateException e) {
                consumer.shutdown();
                if (attempt == MOST_STARTS) {
                    throw e;
                }
                consumer = consumer(part);
            }
        }
    }

    private ConsumeOrderlyStatus handle(List<MessageExt> messages, ConsumeOrderlyContext context) {
        // One, as its batches have one by default.
        MessageExt message = messages.get(0);
        String broker = context.getMessageQueue().getBrokerName();
        String queue = FaultHistory.queue(message.getTopic(), broker, message.getQueueId());
        long offset = message.getQueueOffset();
        history.start(queue, offset, message.getReconsumeTimes() + 1);
        boolean isHandled = false;
        try {
            work(message.getReconsumeTimes() + 1);
            isHandled = true;
            return ConsumeOrderlyStatus.SUCCESS;
        } finally {
            history.end(queue, offset, isHandled);
        }
    }

    private void work(int attempt) {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        try {
            TimeUnit.MICROSECONDS.sleep((long) (random.nextDouble() * handlerMs * 1_000));
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        if (isTroubled && attempt < LAST_ATTEMPT && random.nextInt(100) < TROUBLED) {
            throw new IllegalStateException("as it was asked for");
        }
    }

    @Override
    public String clientId() {
        return consumer.buildMQClientId();
    }

    @Override
    public void stop() {
        // It sends nothing.
    }

    @Override
    public void close() {
        consumer.shutdown();
        history.closed();
    }
}
