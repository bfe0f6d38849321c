import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/** Counts the messages that are handled after a later one of their key. */
final class PeerOrder {
    private final Map<Integer, Integer> last = new ConcurrentHashMap<>();
    private final AtomicLong inversions = new AtomicLong();

    void see(byte[] body) {
        int number = PeerBody.number(body);
        Integer before = last.put(PeerBody.key(body), number);
        if (before != null && number < before) {
            inversions.incrementAndGet();
        }
    }

    String text() {
        return ",\"inversions\":" + inversions.get();
    }
}
