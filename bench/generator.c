// Sends RTP of many streams at their real pace, as whole Ethernet frames: past the sender's own IP stack, so that a core
// is enough for 5,000 calls. Streams are spread over the 20 ms of a packet; each has SSRC, sequence and time of its own,
// and its payloads are stretches of one block of noise that tell stream and place (bench/generator.py: payload_of).
// generator INTERFACE MAC FROM TO NOISE STEP PACKETS [BOTH]: reads "source-port destination-port" for each stream from standard
// input, sends PACKETS of each from host FROM to host TO, and prints what was done as JSON. With BOTH every second stream
// goes the other way.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FRAME = 160, SLOTS = 40, AT_ONCE = 256, MOST = 32768, NOISE = 1 << 20 };
static const long TICK_NS = 20000000;

struct head {
    struct ethhdr ethernet;
    struct iphdr ip;
    struct udphdr udp;
    uint8_t kind, type;
    uint16_t sequence;
    uint32_t timestamp, ssrc;
} __attribute__((packed));

static struct head heads[MOST];
static struct iovec parts[MOST][2];
static struct mmsghdr messages[MOST];
static uint8_t noise[NOISE + FRAME];

static long now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000L + at.tv_nsec;
}

static uint16_t checksum(const void *header) {
    uint32_t sum = 0;
    for (int i = 0; i < 20; i += 2) sum += *(const uint16_t *)((const uint8_t *)header + i);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~(sum + (sum >> 16));
}

static void set_up(int n, char **words, int from, int to, int back) {
    struct head *h = heads + n;
    sscanf(words[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", h->ethernet.h_dest, h->ethernet.h_dest + 1,
           h->ethernet.h_dest + 2, h->ethernet.h_dest + 3, h->ethernet.h_dest + 4, h->ethernet.h_dest + 5);
    h->ethernet.h_proto = htons(ETH_P_IP);
    int bytes = sizeof *h - sizeof h->ethernet + FRAME;
    h->ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = 17, .frag_off = htons(0x4000)};
    h->ip.tot_len = htons(bytes), h->ip.saddr = inet_addr(words[back ? 4 : 3]), h->ip.daddr = inet_addr(words[back ? 3 : 4]);
    h->ip.check = checksum(&h->ip);
    h->udp.source = htons(from), h->udp.dest = htons(to), h->udp.len = htons(bytes - 20);
    h->kind = 0x80, h->type = 8, h->ssrc = htonl(0x10000000 + n * 7919u);
    parts[n][0] = (struct iovec){h, sizeof *h}, parts[n][1].iov_len = FRAME;
    messages[n].msg_hdr = (struct msghdr){.msg_iov = parts[n], .msg_iovlen = 2};
}

static long send_all(int fd, int first, int last) {
    long failed = 0;
    while (first < last) {
        int sent = sendmmsg(fd, messages + first, last - first < AT_ONCE ? last - first : AT_ONCE, 0);
        if (sent < 0 && errno == ENOBUFS) sent = 0, failed++;
        else if (sent < 0) perror("sendmmsg"), exit(1);
        first += sent ? sent : 1;
    }
    return failed;
}

int main(int count, char **words) {
    if (count != 8 && count != 9) return 2;
    long step = atol(words[6]), packets = atol(words[7]), failed = 0, late = 0;
    FILE *file = fopen(words[5], "rb");
    if (!file || fread(noise, 1, sizeof noise, file) != sizeof noise) return perror("noise"), 1;
    int streams = 0, one = 1;
    for (int from, to; streams < MOST && scanf("%d %d", &from, &to) == 2;) {
        set_up(streams, words, from, to, count == 9 && streams % 2);
        streams++;
    }
    int fd = socket(AF_PACKET, SOCK_RAW, 0), buffer = 8 << 20;
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(words[1])};
    if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer) ||
        bind(fd, (struct sockaddr *)&at, sizeof at))
        return perror("socket"), 1;
    long began = now();
    for (long number = 0; number < packets; number++)
        for (int slot = 0; slot < SLOTS; slot++) {
            int first = (long)streams * slot / SLOTS, last = (long)streams * (slot + 1) / SLOTS;
            long due = began + number * TICK_NS + slot * TICK_NS / SLOTS, behind = now() - due;
            struct timespec until = {due / 1000000000L, due % 1000000000L};
            if (behind < 0) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0);
            else if (behind > late) late = behind;
            for (int n = first; n < last; n++) {
                heads[n].sequence = htons((uint16_t)(number + n * 31));
                heads[n].timestamp = htonl((uint32_t)number * FRAME + n * 65537u);
                parts[n][1].iov_base = noise + ((long)n * step + number * FRAME) % NOISE;
            }
            failed += send_all(fd, first, last);
        }
    double seconds = (now() - began) / 1e9;
    printf("{\"packets\": %ld, \"seconds\": %.6f, \"late_s\": %.6f}\n", streams * packets - failed, seconds, late / 1e9);
    return 0;
}
