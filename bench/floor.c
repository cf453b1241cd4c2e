// The floor: the least that a receiver by TPACKET_V3 can do in C. Finds each UDP packet, parses Ethernet, IPv4 and RTP,
// looks its stream up by port, and puts its payload where its sequence number says. No decision, no encryption, no disk.
// floor INTERFACE LOW HIGH: says "ready", counts until SIGTERM, prints the packets it took in.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { BLOCK = 1 << 18, BLOCKS = 256, FRAME = 160, SLOTS = 512, PORTS = 65536 };

static volatile sig_atomic_t stopped;
static uint8_t *streams[PORTS];

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

static int place(const uint8_t *ip, const uint8_t *end, int low, int high) {
    if (end - ip < 28 || ip[0] >> 4 != 4 || ip[9] != 17) return 0;
    const uint8_t *udp = ip + (ip[0] & 15) * 4, *rtp = udp + 8;
    int port = udp[2] << 8 | udp[3];
    if (end - rtp < 12 + FRAME || port < low || port > high || rtp[0] >> 6 != 2) return 0;
    if (!streams[port]) streams[port] = calloc(SLOTS, FRAME);
    memcpy(streams[port] + ((rtp[2] << 8 | rtp[3]) % SLOTS) * FRAME, rtp + 12, FRAME);
    return 1;
}

int main(int count, char **words) {
    if (count != 4) return 2;
    int low = atoi(words[2]), high = atoi(words[3]), one = 1, version = TPACKET_V3;
    int fd = socket(AF_PACKET, SOCK_DGRAM, 0);
    struct tpacket_req3 ring = {BLOCK, BLOCKS, 2048, BLOCK / 2048 * BLOCKS, 8, 0, 0};
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    at.sll_ifindex = if_nametoindex(words[1]);
    if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) ||
        setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring))
        return perror("ring"), 1;
    uint8_t *memory = mmap(0, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED || bind(fd, (struct sockaddr *)&at, sizeof at)) return perror("bind"), 1;
    signal(SIGTERM, stop);
    puts("ready");
    fflush(stdout);
    long packets = 0;
    struct pollfd ready = {fd, POLLIN, 0};
    for (int next = 0; !stopped;) {
        struct tpacket_block_desc *block = (void *)(memory + (size_t)next * BLOCK);
        if (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
            poll(&ready, 1, 20);
            continue;
        }
        uint8_t *at = (uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
        for (uint32_t n = 0; n < block->hdr.bh1.num_pkts; n++) {
            struct tpacket3_hdr *head = (void *)at;
            packets += place(at + head->tp_net, at + head->tp_net + head->tp_snaplen, low, high);
            at += head->tp_next_offset;
        }
        __atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        next = (next + 1) % BLOCKS;
    }
    printf("%ld\n", packets);
    return 0;
}
