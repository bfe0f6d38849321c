// What rocketmq-client-cpp 2.2.0 does in SendMessageOrderlyByShardingKey (src/extern/CProducer.cpp, SelectMessageQueueInner), which
// the Python client calls, too: std::hash of the key as a C string, modulo the number of queues. Needs libstdc++ on 64 bits.
//
//   index COUNT     for each line of standard input, a key: its index among COUNT queues

#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>

#ifndef __GLIBCXX__
#error "std::hash is another one elsewhere"
#endif
static_assert(sizeof(std::size_t) == 8, "std::hash is another one on 32 bits");

int main(int, char** argv) {
  const std::size_t count = std::strtoull(argv[1], nullptr, 10);
  for (std::string key; std::getline(std::cin, key);) {
    std::cout << std::hash<std::string>{}(std::string(key.c_str())) % count << '\n';
  }
}
