import java.util.Arrays;

/** What a body says: whose key it is, its number among the key's, and letters up to the length. */
final class PeerBody {
    private static final int KEY_DIGITS = 4;
    private static final int HEAD_DIGITS = 12;

    private PeerBody() {
    }

    static byte[] of(int key, int number, int bytes) {
        byte[] body = new byte[Math.max(bytes, HEAD_DIGITS)];
        Arrays.fill(body, (byte) 'x');
        write(body, 0, KEY_DIGITS, key);
        write(body, KEY_DIGITS, HEAD_DIGITS, number);
        return body;
    }

    static int key(byte[] body) {
        return read(body, 0, KEY_DIGITS);
    }

    static int number(byte[] body) {
        return read(body, KEY_DIGITS, HEAD_DIGITS);
    }

    private static void write(byte[] body, int from, int to, int number) {
        int rest = number;
        for (int i = to - 1; i >= from; i--) {
            body[i] = (byte) ('0' + rest % 10);
            rest /= 10;
        }
    }

    private static int read(byte[] body, int from, int to) {
        int number = 0;
        for (int i = from; i < to; i++) {
            number = 10 * number + body[i] - '0';
        }
        return number;
    }
}
