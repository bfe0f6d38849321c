import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Sends ordered messages at a rate: each key's one after another by synchronous calls, a thread for each key; or, where they are not
 * awaited, all from one thread by asynchronous calls.
 */
final class FaultProducer implements FaultPeer.Role {
    /** As clients that have a notion of it, and the check of what is stored, have it. */
    private static final String SHARDING_KEY = "__SHARDINGKEY";
    /** Calls of a key that wait for those before; more are not called for. */
    private static final int WAITING_OF_A_KEY = 64;
    private static final int UNSETTLED = 2_000;
    private static final long TICK_NANOS = 5_000_000;
    private static final int SETTLE_SECONDS = 30;

    private final String topic;
    private final int keys;
    private final int bytes;
    private final double rate;
    private final boolean awaited;
    private final Random random;
    private final FaultHistory history;
    private final DefaultMQProducer producer;
    private final SelectMessageQueueByHash byHash = new SelectMessageQueueByHash();
    private final List<BlockingQueue<Message>> waiting = new ArrayList<>();
    private final Semaphore unsettled = new Semaphore(UNSETTLED);
    private final List<Thread> threads = new ArrayList<>();
    private volatile boolean isStopped;

    FaultProducer(FaultPart part) throws Exception {
        topic = part.text("topic");
        keys = (int) part.number("keys");
        bytes = (int) part.number("bytes");
        rate = part.number("rate");
        awaited = "true".equals(part.text("awaited"));
        random = new Random((long) part.number("seed"));
        history = new FaultHistory(part.text("history"));
        producer = new DefaultMQProducer(part.text("group") + "-P");
        producer.setNamesrvAddr(part.text("nameServer"));
        producer.setInstanceName(history.by);
        history.hello("producer", producer.buildMQClientId(), producer.getProducerGroup());
        producer.start();
        if (awaited) {
            for (int key = 0; key < keys; key++) {
                BlockingQueue<Message> own = new ArrayBlockingQueue<>(WAITING_OF_A_KEY);
                waiting.add(own);
                begin("key-" + key, () -> sendAll(own));
            }
        }
        begin("pace", this::pace);
    }

    private void begin(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        threads.add(thread);
        thread.start();
    }

    /** Calls for as many as are due. */
    private void pace() {
        long begun = System.nanoTime();
        for (long sent = 0; !isStopped;) {
            long due = (long) ((System.nanoTime() - begun) / 1e9 * rate);
            for (; sent < due && !isStopped; sent++) {
                int key = random.nextInt(keys);
                Message message = message("key-" + key, sent);
                if (awaited) {
                    waiting.get(key).offer(message);
                } else if (unsettled.tryAcquire()) {
                    sendAside(message);
                }
            }
            java.util.concurrent.locks.LockSupport.parkNanos(TICK_NANOS);
        }
    }

    private Message message(String key, long number) {
        byte[] text = (key + ":" + number + ":").getBytes(StandardCharsets.UTF_8);
        Message message = new Message(topic, java.util.Arrays.copyOf(text, Math.max(text.length, bytes)));
        message.setKeys(key);
        MessageAccessor.putProperty(message, SHARDING_KEY, key);
        MessageClientIDSetter.setUniqID(message);
        return message;
    }

    private long submit(Message message) {
        return history.submit(topic, message.getKeys(), MessageClientIDSetter.getUniqID(message));
    }

    private void sendAll(BlockingQueue<Message> own) {
        while (!isStopped) {
            try {
                Message message = own.poll(100, TimeUnit.MILLISECONDS);
                if (message != null) {
                    sendNow(message);
                }
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    private void sendNow(Message message) {
        long send = submit(message);
        try {
            settle(send, producer.send(message, byHash, message.getKeys()));
        } catch (Exception e) {
            history.unknown(send, e);
        }
    }

    private void sendAside(Message message) {
        long send = submit(message);
        try {
            producer.send(message, byHash, message.getKeys(), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    settle(send, result);
                    unsettled.release();
                }

                @Override
                public void onException(Throwable e) {
                    history.unknown(send, e);
                    unsettled.release();
                }
            });
        } catch (Exception e) {
            history.unknown(send, e);
            unsettled.release();
        }
    }

    private void settle(long send, SendResult result) {
        MessageQueue queue = result.getMessageQueue();
        history.stored(send, FaultHistory.queue(topic, queue.getBrokerName(), queue.getQueueId()),
            result.getQueueOffset());
    }

    @Override
    public String clientId() {
        return producer.buildMQClientId();
    }

    @Override
    public void stop() throws Exception {
        isStopped = true;
        for (Thread thread : threads) {
            thread.join();
        }
        unsettled.tryAcquire(UNSETTLED, SETTLE_SECONDS, TimeUnit.SECONDS);
    }

    @Override
    public void close() throws Exception {
        if (!isStopped) {
            stop();
        }
        producer.shutdown();
        history.closed();
    }
}
