/* Gate-level simulation with delays: every change of every net is counted, glitches included.
 *
 *     gates NETLIST COUNTS
 *
 * NETLIST is text as benchmarks/gates.py writes it: words and numbers, described where they are read.
 * COUNTS gets, for each group of cycles, the changes of each net: unsigned 64-bit numbers. A line on
 * standard output is what the outputs that are watched were at the end of a cycle.
 *
 * Time within a cycle is counted in units. At time 0 the clock rises; outputs follow behind inputs, and
 * a flip-flop's behind its clock, by as many units as the netlist says; inputs of the circuit change
 * then, too. All that is quiet, the clock falls. Delays are inertial, as those of Verilog's
 * `assign #n`: what would change an output and is over before its delay is, changes nothing. A clock
 * gate takes one unit: a clock tree is balanced, so flip-flops behind it are not late.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1 << 15 };                           /* more than the longest delay */
enum { LOGIC, REGISTER, GATE_CLOCK, GATE_ENABLE, MEMORY };

typedef struct { int32_t kind, cell; uint32_t mask; } Reader;

typedef struct { int32_t first, count; } Span;      /* in a pool */

/* `pending`: when the output changes, 0 if it does not. */
typedef struct { int out, delay; uint32_t at; int32_t table; long long pending; } Logic;
typedef struct { int outs[2], count, delay; uint32_t at, own; int32_t table; } Register;
typedef struct { int clock, enable, out, held; } ClockGate;
typedef struct {
    int ports, words, bits, address_bits, enable, write, lower, upper, data, q;
    uint64_t *content;
} Memory;

static int nets, groups;
static unsigned char *value;
static uint64_t *counts, *now_counts, *tables;
static Span *readers;
static Reader *reader_pool;
static Logic *logic;
static Register *registers;
static ClockGate *gates;
static Memory *memories;
static int *pins;                                   /* nets of memories' ports */
static int *marked, marked_count;
static unsigned char *is_marked;
static int *slots[SLOTS], slot_counts[SLOTS], slot_sizes[SLOTS];
static long long at_time, outstanding, latest;
static int memory_delay;
static int *rising_registers, rising_count, *rising_memories, rising_memory_count;

static void *room(size_t count, size_t size) {
    void *found = calloc(count ? count : 1, size);
    if (!found) { fprintf(stderr, "out of memory\n"); exit(2); }
    return found;
}

static long long number(void) {
    long long found;
    if (scanf("%lld", &found) != 1) { fprintf(stderr, "netlist ends too early\n"); exit(2); }
    return found;
}

static void expect(const char *word) {
    char found[64];
    if (scanf("%63s", found) != 1 || strcmp(found, word)) {
        fprintf(stderr, "netlist: expected %s\n", word);
        exit(2);
    }
}

static int bit(int32_t table, uint32_t at) { return tables[table + (at >> 6)] >> (at & 63) & 1; }

/* What is later: a net that changes, or ~g, gate g's output, if nothing has called it back. */
static void later(int what, int delay) {
    int slot = (at_time + delay) % SLOTS;
    if (slot_counts[slot] == slot_sizes[slot]) {
        slot_sizes[slot] = slot_sizes[slot] ? 2 * slot_sizes[slot] : 1024;
        slots[slot] = realloc(slots[slot], slot_sizes[slot] * sizeof(int));
    }
    slots[slot][slot_counts[slot]++] = what;
    outstanding++;
}

static void evaluate(int gate) {
    Logic *g = &logic[gate];
    is_marked[gate] = 0;
    int changes = bit(g->table, g->at) != value[g->out];
    if (changes && !g->pending) {
        g->pending = at_time + g->delay;
        later(~gate, g->delay);
    } else if (!changes)
        g->pending = 0;
}

static uint64_t word_at(int first, int bits) {
    uint64_t found = 0;
    for (int i = 0; i < bits; i++) found |= (uint64_t)value[pins[first + i]] << i;
    return found;
}

/* Words of any width: 64 bits of each word side by side. */
static void clock_memory(Memory *m) {
    int parts = (m->bits + 63) / 64;
    int writes = value[pins[m->write]] && (m->ports == 2 || value[pins[m->enable]]);
    int reads = m->ports == 2 ? value[pins[m->enable]] : value[pins[m->enable]] && !writes;
    uint64_t from = word_at(m->ports == 2 ? m->upper : m->lower, m->address_bits);
    uint64_t to = word_at(m->lower, m->address_bits);
    if (reads && from < (uint64_t)m->words)
        for (int i = 0; i < m->bits; i++)
            if ((m->content[from * parts + i / 64] >> (i % 64) & 1) != value[pins[m->q + i]])
                later(pins[m->q + i], memory_delay);
    if (writes && to < (uint64_t)m->words)
        for (int p = 0; p < parts; p++) {
            int left = m->bits - 64 * p;
            m->content[to * parts + p] = word_at(m->data + 64 * p, left < 64 ? left : 64);
        }
}

static void toggle(int net) {
    value[net] ^= 1;
    now_counts[net]++;
    for (int i = 0; i < readers[net].count; i++) {
        Reader *r = &reader_pool[readers[net].first + i];
        switch (r->kind) {
        case LOGIC:
            logic[r->cell].at ^= r->mask;
            if (!is_marked[r->cell]) {
                is_marked[r->cell] = 1;
                marked[marked_count++] = r->cell;
            }
            break;
        case REGISTER:
            if (r->mask) registers[r->cell].at ^= r->mask;
            else if (value[net]) rising_registers[rising_count++] = r->cell;
            break;
        case GATE_CLOCK:
        case GATE_ENABLE: {
            ClockGate *g = &gates[r->cell];
            if (!value[g->clock]) g->held = value[g->enable];
            if (r->kind == GATE_CLOCK && (value[g->clock] & g->held) != value[g->out])
                later(g->out, 1);
            break;
        }
        default:
            if (value[net]) rising_memories[rising_memory_count++] = r->cell;
        }
    }
}

/* From now until nothing is left to happen; returns how long it was to the last change. */
static long long settle(void) {
    long long begun = at_time, last = at_time;
    for (; outstanding; at_time++) {
        int slot = at_time % SLOTS, count = slot_counts[slot];
        if (!count) continue;
        outstanding -= count;
        slot_counts[slot] = 0;
        marked_count = rising_count = rising_memory_count = 0;
        for (int i = 0; i < count; i++) {
            int what = slots[slot][i];
            if (what < 0) {
                Logic *g = &logic[~what];
                if (g->pending != at_time) continue;
                g->pending = 0;
                what = g->out;
            }
            last = at_time;
            toggle(what);
        }
        /* What is clocked sees the values of this very time. */
        for (int i = 0; i < rising_count; i++) {
            Register *r = &registers[rising_registers[i]];
            if (bit(r->table, r->at) != ((r->at & r->own) != 0)) {
                r->at ^= r->own;
                for (int o = 0; o < r->count; o++) later(r->outs[o], r->delay);
            }
        }
        for (int i = 0; i < rising_memory_count; i++) clock_memory(&memories[rising_memories[i]]);
        for (int i = 0; i < marked_count; i++) evaluate(marked[i]);
    }
    return last - begun;
}

/* `table`: its words. */
static int read_table(int *used) {
    int words = number(), first = *used;
    for (int i = 0; i < words; i++) {
        unsigned long long each;
        if (scanf("%llx", &each) != 1) exit(2);
        tables[(*used)++] = each;
    }
    return first;
}

static void read_image(Memory *m) {
    char name[256];
    if (scanf("%255s", name) != 1) exit(2);
    int lines = number(), parts = (m->bits + 63) / 64, digits = (m->bits + 3) / 4;
    if (!strcmp(name, "-")) return;
    FILE *file = fopen(name, "r");
    char *line = room(digits + 64, 1);
    if (!file) { fprintf(stderr, "cannot read %s\n", name); exit(2); }
    for (int w = 0; w < lines && fscanf(file, "%s", line) == 1; w++)
        for (int i = 0, length = strlen(line); i < length; i++) {
            char digit[2] = {line[length - 1 - i], 0};
            m->content[(size_t)w * parts + i / 16] |= (uint64_t)strtoul(digit, 0, 16) << (i % 16 * 4);
        }
    fclose(file);
    free(line);
}

int main(int count, char **names) {
    if (count != 3 || !freopen(names[1], "r", stdin)) return 2;
    /* nets N, tables N, pins N, readers N, groups N: sizes. */
    expect("nets"); nets = number();
    expect("tables"); tables = room(number(), 8);
    expect("pins"); pins = room(number(), sizeof(int));
    expect("readers"); long long reader_count = number();
    expect("groups"); groups = number();
    value = room(nets, 1);
    counts = room((size_t)nets * groups, 8);
    now_counts = room(nets, 8);
    uint64_t *ignored = now_counts;
    readers = room(nets, sizeof(Span));
    reader_pool = room(reader_count, sizeof(Reader));
    int used_tables = 0, used_pins = 0;
    /* memory DELAY, of its output; logic N, then of each: output, delay, table. */
    expect("memory"); memory_delay = number();
    expect("logic");
    int logic_count = number();
    logic = room(logic_count, sizeof(Logic));
    marked = room(logic_count, sizeof(int));
    is_marked = room(logic_count, 1);
    for (int i = 0; i < logic_count; i++) {
        logic[i].out = number();
        logic[i].delay = number();
        logic[i].table = read_table(&used_tables);
    }
    /* registers N, then of each: outputs, delay, bit of its own value, value at the beginning, table. */
    expect("registers");
    int register_count = number();
    registers = room(register_count, sizeof(Register));
    rising_registers = room(register_count, sizeof(int));
    for (int i = 0; i < register_count; i++) {
        Register *r = &registers[i];
        r->count = number();
        for (int o = 0; o < r->count; o++) r->outs[o] = number();
        r->delay = number();
        r->own = number();
        if (number()) r->at = r->own;
        r->table = read_table(&used_tables);
    }
    /* gates N, then of each: clock, enable, output. */
    expect("gates");
    int gate_count = number();
    gates = room(gate_count, sizeof(ClockGate));
    for (int i = 0; i < gate_count; i++) {
        gates[i].clock = number(); gates[i].enable = number(); gates[i].out = number();
    }
    /* memories N, then of each: ports, words, bits, address bits, nets (enable or read, write, address
     * (to write), address to read of two ports, data, q), image, its lines. */
    expect("memories");
    int memory_count = number();
    memories = room(memory_count, sizeof(Memory));
    rising_memories = room(memory_count, sizeof(int));
    for (int i = 0; i < memory_count; i++) {
        Memory *m = &memories[i];
        m->ports = number(); m->words = number(); m->bits = number(); m->address_bits = number();
        int sizes[6] = {1, 1, m->address_bits, m->ports == 2 ? m->address_bits : 0, m->bits, m->bits};
        int *firsts[6] = {&m->enable, &m->write, &m->lower, &m->upper, &m->data, &m->q};
        for (int k = 0; k < 6; k++) {
            *firsts[k] = used_pins;
            for (int j = 0; j < sizes[k]; j++) pins[used_pins++] = number();
        }
        m->content = room((size_t)m->words * ((m->bits + 63) / 64), 8);
        read_image(m);
    }
    /* Of each net: how many read it, then kind, cell, mask of each; 0 of a clock. */
    expect("fans");
    int filled = 0;
    for (int n = 0; n < nets; n++) {
        readers[n].first = filled;
        readers[n].count = number();
        for (int i = 0; i < readers[n].count; i++, filled++) {
            reader_pool[filled].kind = number();
            reader_pool[filled].cell = number();
            reader_pool[filled].mask = number();
        }
    }
    /* Values at the beginning, of all nets: what is not 0. */
    expect("ones");
    int ones = number();
    at_time = 1;
    for (int i = 0; i < ones; i++) toggle(number());
    for (int i = 0; i < logic_count; i++) evaluate(i);
    settle();
    /* clock NET, inputs DELAY N NETS, cycles N, of each a text of 0 and 1; the last one stays. */
    expect("clock");
    int clock = number();
    expect("inputs");
    int input_delay = number(), input_count = number();
    int *inputs = room(input_count, sizeof(int));
    for (int i = 0; i < input_count; i++) inputs[i] = number();
    expect("cycles");
    int cycles = number();
    char *vectors = room((size_t)cycles * (input_count + 1) + 1, 1);
    for (int i = 0; i < cycles; i++)
        if (scanf("%s", vectors + (size_t)i * (input_count + 1)) != 1) return 2;
    /* from N: cycles before it are not counted. most N. group N NETS. done NET (-1: when vectors
     * end). watch VALID N NETS: printed where VALID is 1 at the end of a counted cycle. */
    expect("from"); int from = number();
    expect("most"); long long most = number();
    expect("group");
    int group_bits = number();
    int *group_nets = room(group_bits, sizeof(int));
    for (int i = 0; i < group_bits; i++) group_nets[i] = number();
    expect("done"); int done = number();
    expect("watch");
    int valid = number(), watched = number();
    int *watch = room(watched, sizeof(int));
    for (int i = 0; i < watched; i++) watch[i] = number();

    uint64_t *in_group = room(groups, 8);
    for (int i = 0; i < input_count; i++)   /* the first vector stands before the first clock */
        if (value[inputs[i]] != (vectors[i] == '1')) later(inputs[i], 0);
    settle();
    long long cycle = 0;
    for (; cycle < most; cycle++) {
        int next = cycle + 1 < cycles ? (int)cycle + 1 : cycles - 1;
        if (done < 0 && cycle >= cycles) break;
        if (cycle >= from) {
            int group = 0;
            for (int i = 0; i < group_bits; i++) group |= value[group_nets[i]] << i;
            if (group >= groups) group = groups - 1;
            now_counts = counts + (size_t)group * nets;
            in_group[group]++;
        } else
            now_counts = ignored;
        later(clock, 0);
        char *vector = vectors + (size_t)next * (input_count + 1);
        for (int i = 0; i < input_count; i++)
            if (value[inputs[i]] != (vector[i] == '1')) later(inputs[i], input_delay);
        long long settled = settle();
        if (cycle >= from && settled > latest) latest = settled;
        /* The falling edge belongs to the cycle that ends with the next rise. */
        later(clock, 0);
        settle();
        if (cycle >= from && valid >= 0 && value[valid]) {
            for (int i = watched; i--;) putchar('0' + value[watch[i]]);
            putchar('\n');
        }
        if (done >= 0 && cycle >= from && value[done]) { cycle++; break; }
    }
    printf("cycles");
    for (int g = 0; g < groups; g++) printf(" %llu", (unsigned long long)in_group[g]);
    printf("\nsettled %lld\n", latest);
    FILE *file = fopen(names[2], "wb");
    if (!file || fwrite(counts, 8, (size_t)nets * groups, file) != (size_t)nets * groups) return 2;
    return fclose(file) != 0;
}
