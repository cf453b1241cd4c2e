/* What is done for every packet: its headers are read from the ring, and it is put in its place.

   greffier_walk reads the packets of a ring's block while they are plain UDP over IPv4, as nearly all are. What it writes
   is what walk and PacketRing._described (ring.py in this folder) and parse (frames.py) say of them.
   greffier_place takes in the packets of a PacketBlock that are just the next of their streams, as nearly all are, and
   says which are not. What it does to the columns is what Engine.process, Placer._continues and Placer._place_in_order
   (engine.py and placing.py) and Timing.note (timing.py) do.
   Those are the reference, and tests hold this against them. It keeps nothing from call to call and has no memory of its
   own. Bound by core.py. */

#include <stdint.h>
#include <string.h>

#define CLOCK_RATE 8000
#define NS_PER_SAMPLE 125000
#define SHORTEST 40
#define LONGEST 960
#define AHEAD_SAMPLES 16000
#define BEHIND_SAMPLES 80000
#define FIXED_BYTES 12
#define FIRST_RTCP 192
#define LAST_RTCP 223
#define PAYLOAD_TYPES 128
#define WINDOW 512
#define SIZE_BITS 11
#define LAG_SAMPLES 8000
#define LAG_NS 250000000
#define SILENCE_NS 1000000000
#define WINDOW_NS 10000000000
#define MOST_IN_A_ROW 64
#define NOT_KNOWN (-(INT64_C(1) << 62))
#define NONE_YET (INT64_C(1) << 62)
#define NS 1000000000
#define HEADER_BYTES 52
#define VLAN_VALID (1 << 4)
#define IPV4 0x0800
#define UDP 17
#define VXLAN_PORT 4789
#define PORT_BITS 16
#define FETCH_AHEAD 16
#define EMPTY (-1)
#define SPREAD UINT64_C(0x9E3779B97F4A7C15)

struct block { /* block.py: PacketBlock */
    int64_t packets, bytes;
    const uint8_t *memory;
    const int64_t *start, *length, *destination, *source, *arrival_ns;
};

struct table { /* endpoint.py: KeyTable */
    uint64_t shift, mask;
    const int64_t *keys, *values;
};

struct columns { /* columns.py: Columns */
    int64_t rows, room;
    const int64_t *start, *source, *since_ns, *dead_ssrc, *current, *rate, *ssrc, *origin_ns;
    int64_t *low, *end, *covered, *high, *accounted, *packet, *ref_ts, *ref_position, *last_ns, *received, *placed, *where;
    const uint8_t *locked, *barred, *framed;
    const uint16_t *kinds;
    uint8_t *seen, *buffer;
};

struct timing { /* timing.py: Timing */
    int64_t *transit, *lowest, *window_ns, *first, *first_ns, *last, *last_ns, *least, *least_ns;
    uint8_t *lagging;
    double *jitter, *jitter_max;
};

struct run { /* one row's packets of this block; UNSEEN between calls */
    enum { UNSEEN, NEXT, ODD } state;
    int64_t packets, samples, end, last, transit, least;
    double jitter;
};

static uint32_t word(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* In the byte order of this machine, as the kernel writes its headers. */
static int64_t native(const uint8_t *at) {
    uint32_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

/* Where in `memory` the UDP payloads of one block lie, how long they are, to whom, from whom, and when they came (`now_ns`
   at most), into five columns of `room` each. The block's first struct tpacket3_hdr is `at`, and it ends at `end`. Stops
   at a packet that is not plain or does not lie within the block, and returns how many there are before it: no more than
   the block has room for headers. */
__attribute__((visibility("default"))) int64_t greffier_walk(
    const uint8_t *memory, int64_t at, int64_t end, int64_t packets, int64_t clock_ns, int64_t now_ns, int64_t *to,
    int64_t room) {
    int64_t step = HEADER_BYTES;
    for (int64_t n = 0; n < packets; n++, at += step) {
        if (step < HEADER_BYTES || at % 8 || at > end - HEADER_BYTES) return n;
        const uint8_t *head = memory + at;
        step = native(head);
        const uint8_t *soon = head + FETCH_AHEAD * step;
        __builtin_prefetch(soon);
        __builtin_prefetch(soon + 64);
        __builtin_prefetch(soon + 123); /* where its UDP header ends: these three are all of its lines that are read */
        int64_t start = at + (native(head + 24) >> 16), size = native(head + 12);
        if (native(head + 20) & VLAN_VALID || (head[50] << 8 | head[51]) != IPV4) return n;
        if (size < 28 || size > end - start) return n;
        const uint8_t *ip = memory + start;
        int64_t first = word(ip), ports = word(ip + 20), length = (word(ip + 24) >> 16) - INT64_C(8);
        if (first >> 24 != 0x45 || ip[9] != UDP || (ports & 0xFFFF) == VXLAN_PORT || word(ip + 4) & 0x3FFF) return n;
        if (length < 0 || (first & 0xFFFF) < length + 28 || size < length + 28) return n;
        int64_t arrival_ns = native(head + 4) * NS + native(head + 8) - clock_ns;
        to[n] = start + 28;
        to[n + room] = length;
        to[n + 2 * room] = (int64_t)word(ip + 16) << PORT_BITS | (ports & 0xFFFF);
        to[n + 3 * room] = (int64_t)word(ip + 12) << PORT_BITS | ports >> 16;
        to[n + 4 * room] = arrival_ns < now_ns ? arrival_ns : now_ns;
    }
    return packets;
}

static uint64_t home_of(const struct table *t, int64_t key) {
    return (uint64_t)key * SPREAD >> t->shift;
}

static int64_t row_of(const struct table *t, int64_t key) {
    uint64_t slot = home_of(t, key);
    for (uint64_t tried = 0; tried <= t->mask && t->keys[slot] != EMPTY; tried++, slot = (slot + 1) & t->mask)
        if (t->keys[slot] == key) return t->values[slot];
    return -1;
}

static int64_t position_of(const struct columns *c, int64_t row, const uint8_t *head) {
    int64_t ticks = ((int64_t)word(head + 4) - c->ref_ts[row] + 0x80000000) & 0xFFFFFFFF;
    return c->ref_position[row] + ticks - 0x80000000;
}

/* Whether packet n goes on with its row just where the run of those before it ends; if so it is in the run. */
static int goes_on(const struct block *b, const struct columns *c, int64_t n, int64_t row, struct run *run) {
    const uint8_t *head = b->memory + b->start[n];
    int64_t first = word(head), ssrc = word(head + 8), type = first >> 16 & 0xFF, size = b->length[n] - FIXED_BYTES;
    int64_t kind = c->kinds[row * PAYLOAD_TYPES + (type & 0x7F)];
    if (first >> 24 != 0x80 || (type >= FIRST_RTCP && type <= LAST_RTCP) || size < SHORTEST || size > LONGEST) return 0;
    if (!kind || kind != c->current[row] || c->rate[row] != CLOCK_RATE || ssrc != c->ssrc[row]) return 0;
    if (b->source[n] != c->source[row] || b->arrival_ns[n] < c->since_ns[row]) return 0;
    if (c->barred[row] && ssrc == c->dead_ssrc[row]) return 0;
    if ((first ^ (c->high[row] + 1 + run->packets)) & 0xFFFF) return 0;
    int64_t position = position_of(c, row, head), end = position + size;
    if (position < 0 || position < run->end || position < c->start[row] || end > c->start[row] + c->room) return 0;
    int64_t since = b->arrival_ns[n] - c->origin_ns[row];
    int64_t transit = since / NS_PER_SAMPLE - (since % NS_PER_SAMPLE < 0) - position;
    if (transit < -AHEAD_SAMPLES || transit > BEHIND_SAMPLES) return 0;
    int64_t before_ns = run->packets ? b->arrival_ns[run->last] : c->last_ns[row];
    if (transit > LAG_SAMPLES && b->arrival_ns[n] - before_ns >= SILENCE_NS) return 0;
    if (run->packets < MOST_IN_A_ROW) {
        int64_t step = run->transit == NOT_KNOWN ? 0 : transit - run->transit;
        run->jitter += ((double)(step < 0 ? -step : step) - run->jitter) / 16;
    }
    run->packets++, run->samples += size, run->end = end, run->last = n, run->transit = transit;
    if (transit < run->least) run->least = transit;
    return 1;
}

static void keep(const struct block *b, const struct columns *c, int64_t n, int64_t row) {
    const uint8_t *head = b->memory + b->start[n];
    int64_t position = position_of(c, row, head), size = b->length[n] - FIXED_BYTES;
    int64_t slot = row * WINDOW + (word(head) & (WINDOW - 1)), at = position % c->room;
    int64_t before = size < c->room - at ? size : c->room - at; /* the end of the ring */
    if (position < c->low[row]) c->low[row] = position;
    c->seen[slot] = 1;
    c->where[slot] = (position + size) << SIZE_BITS | size;
    memcpy(c->buffer + row * c->room + at, head + FIXED_BYTES, (size_t)before);
    memcpy(c->buffer + row * c->room, head + FIXED_BYTES + before, (size_t)(size - before));
}

static void count(const struct block *b, const struct columns *c, int64_t row, const struct run *run) {
    const uint8_t *head = b->memory + b->start[run->last];
    c->received[row] += run->packets, c->placed[row] += run->packets, c->accounted[row] += run->packets;
    c->high[row] += run->packets, c->covered[row] += run->samples, c->end[row] = run->end;
    c->packet[row] = b->length[run->last] - FIXED_BYTES, c->last_ns[row] = b->arrival_ns[run->last];
    c->ref_position[row] = position_of(c, row, head), c->ref_ts[row] = word(head + 4);
}

static void note(const struct timing *t, int64_t row, int64_t now_ns, const struct run *run) {
    t->transit[row] = run->transit, t->jitter[row] = run->jitter;
    if (t->jitter_max[row] < run->jitter) t->jitter_max[row] = run->jitter;
    if (now_ns >= t->least_ns[row]) {
        if (t->least[row] > LAG_SAMPLES && t->least[row] < NONE_YET) t->lagging[row] = 1;
        t->least_ns[row] = now_ns + LAG_NS, t->least[row] = NONE_YET;
    }
    if (run->least < t->least[row]) t->least[row] = run->least;
    int64_t lowest = t->lowest[row], ended_ns = t->window_ns[row];
    if (now_ns >= ended_ns || lowest == NOT_KNOWN || run->least < lowest) t->lowest[row] = run->least;
    if (now_ns < ended_ns) return;
    t->window_ns[row] = now_ns + WINDOW_NS;
    if (lowest == NOT_KNOWN) return;
    int opening = t->first[row] == NOT_KNOWN;
    (opening ? t->first : t->last)[row] = lowest, (opening ? t->first_ns : t->last_ns)[row] = ended_ns;
}

/* Places what it can, marks in `left` what it leaves, and returns how many these are: all packets without a row, and all of
   each row of which not every packet is just the next. `runs` and `touched` have room for every row; `row` and `left` for
   every packet. */
__attribute__((visibility("default"))) int64_t greffier_place(
    const struct block *b, const struct table *table, const struct columns *c, const struct timing *t, struct run *runs,
    int64_t *touched, int64_t *row, uint8_t *left) {
    int64_t rows = 0, remain = 0;
    for (int64_t n = 0; n < b->packets; n++) {
        if (n + FETCH_AHEAD < b->packets) {
            uint64_t slot = home_of(table, b->destination[n + FETCH_AHEAD]);
            __builtin_prefetch(table->keys + slot);
            __builtin_prefetch(table->values + slot);
        }
        row[n] = row_of(table, b->destination[n]);
        if (row[n] >= c->rows) row[n] = -1;
    }
    for (int64_t n = 0; n < b->packets; n++) {
        if (n + FETCH_AHEAD < b->packets && row[n + FETCH_AHEAD] >= 0) {
            __builtin_prefetch(b->memory + b->start[n + FETCH_AHEAD]);
            __builtin_prefetch(c->kinds + row[n + FETCH_AHEAD] * PAYLOAD_TYPES);
            __builtin_prefetch(runs + row[n + FETCH_AHEAD], 1);
        }
        int64_t one = row[n], length = b->length[n], start = b->start[n];
        if (one < 0) continue;
        struct run *run = runs + one;
        if (run->state == UNSEEN) {
            int next = c->locked[one] && !c->framed[one] && !t->lagging[one];
            *run = (struct run){next ? NEXT : ODD, 0, 0, c->end[one], 0, t->transit[one], NONE_YET, t->jitter[one]};
            touched[rows++] = one;
        }
        int inside = length >= FIXED_BYTES && start >= 0 && start <= b->bytes && length <= b->bytes - start;
        if (run->state == NEXT && !(inside && goes_on(b, c, n, one, run))) run->state = ODD;
    }
    for (int64_t n = 0; n < b->packets; n++) {
        left[n] = row[n] < 0 || runs[row[n]].state == ODD;
        remain += left[n];
        if (!left[n]) keep(b, c, n, row[n]);
    }
    for (int64_t n = 0; n < rows; n++) {
        struct run *run = runs + touched[n];
        if (run->state == NEXT) {
            count(b, c, touched[n], run);
            note(t, touched[n], b->arrival_ns[run->last], run);
        }
        run->state = UNSEEN;
    }
    return remain;
}

/* Which source this was made of (compiling.py). */
__attribute__((visibility("default"))) const char greffier_source[] = SOURCE;
