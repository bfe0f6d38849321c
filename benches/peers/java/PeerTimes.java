import java.util.Arrays;

/** Latencies in nanoseconds. */
final class PeerTimes {
    private long[] nanos = new long[1024];
    private int size;

    void add(long time) {
        if (size == nanos.length) {
            nanos = Arrays.copyOf(nanos, 2 * size);
        }
        nanos[size++] = time;
    }

    void addAll(PeerTimes others) {
        for (int i = 0; i < others.size; i++) {
            add(others.nanos[i]);
        }
    }

    int size() {
        return size;
    }

    String text() {
        Arrays.sort(nanos, 0, size);
        return ",\"p50Micros\":" + micros(0.5) + ",\"p99Micros\":" + micros(0.99) + ",\"p999Micros\":" + micros(0.999);
    }

    private double micros(double part) {
        return size == 0 ? 0 : nanos[(int) (part * size)] / 1e3;
    }
}
