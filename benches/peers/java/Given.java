import java.util.HashMap;
import java.util.Map;

/** What a round is given. */
final class Given {
    private final Map<String, String> values = new HashMap<>();

    Given(String line) {
        for (String pair : line.split(" ")) {
            int at = pair.indexOf('=');
            values.put(pair.substring(0, at), pair.substring(at + 1));
        }
    }

    boolean has(String name) {
        return values.containsKey(name);
    }

    String text(String name) {
        return values.get(name);
    }

    int number(String name) {
        return Integer.parseInt(values.get(name));
    }

    double seconds() {
        return Double.parseDouble(values.get("seconds"));
    }
}
