/* FASTA text to codes: one pass, lines of any length, chunks cut anywhere. */
#ifndef FASTSEQ_FASTA_H
#define FASTSEQ_FASTA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* members of each IUPAC letter as bits A=1 C=2 G=4 T=8; 0: no letter of the alphabet */
static const uint8_t fasta_members[26] = {
    /* A B C D E F G H */ 1, 14, 2, 13, 0, 0, 4, 11,
    /* I J K L M N O P */ 0, 0, 12, 0, 3, 15, 0, 0,
    /* Q R S T U V W X */ 0, 5, 6, 8, 8, 7, 9, 15,
    /* Y Z */ 10, 0,
};

static inline uint8_t fasta_letter(uint8_t byte)
{
    uint8_t upper = byte & 0xDF;
    if (byte == '-' || byte == '.' || byte == '*')
        return 15;
    return upper >= 'A' && upper <= 'Z' ? fasta_members[upper - 'A'] : 0;
}

/* plain arithmetic on bytes, so that any compiler turns it into vector code */
static inline int fasta_encode(const uint8_t *text, uint8_t *codes, size_t size)
{
    uint8_t unknown = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t upper = text[i] & 0xDF;
        uint8_t c = upper == 'C', g = upper == 'G', t = (upper == 'T') | (upper == 'U');
        uint8_t known = c | g | t | (upper == 'A');
        codes[i] = (uint8_t)(c + 2 * g + 3 * t + 4 * (1 - known));
        unknown |= (uint8_t)(1 - known);
    }
    return unknown;
}

typedef struct {
    int at_line_start;      /* the next byte begins a line */
    int64_t written;        /* codes of this contig so far */
    int64_t ambiguous;      /* letters such as R or Y recorded */
    int64_t bad;            /* offset in the text of a letter outside IUPAC, or -1 */
    int full;               /* the table of ambiguous letters has no room left */
} fasta_state;

/* Read sequence lines until a header line, the end of the text, a bad letter or a full table.
   Positions and members of ambiguous letters other than N are listed; returns bytes consumed. */
static int64_t fasta_read(const uint8_t *text, int64_t size, uint8_t *codes, fasta_state *state,
                          int64_t *positions, uint8_t *members, int64_t room)
{
    int64_t at = 0;
    state->bad = -1;
    state->full = 0;
    while (at < size) {
        if (state->at_line_start && text[at] == '>')
            return at;
        const uint8_t *end = memchr(text + at, '\n', (size_t)(size - at));
        int64_t stop = end ? end - text : size;
        /* long lines go in pieces: the second look below stays in the first cache */
        if (stop - at > 4096) {
            stop = at + 4096;
            end = NULL;
        }
        int64_t length = stop - at;
        while (length && (text[at + length - 1] == '\r' || text[at + length - 1] == ' '))
            length--;
        if (fasta_encode(text + at, codes + state->written, (size_t)length)) {
            if (state->ambiguous + length > room) {
                state->full = 1;
                return at;
            }
            for (int64_t i = 0; i < length; i++) {
                if (codes[state->written + i] < 4)
                    continue;
                uint8_t letter = fasta_letter(text[at + i]);
                if (letter == 0) {
                    state->bad = at + i;
                    state->written += i;
                    return at;
                }
                if (letter != 15) {
                    positions[state->ambiguous] = state->written + i;
                    members[state->ambiguous++] = letter;
                }
            }
        }
        state->written += length;
        state->at_line_start = end != NULL;
        at = end ? stop + 1 : stop;
    }
    return at;
}

/* Copy [start, start + length) of a contig into out, 4 beyond its ends. */
static inline void fasta_window(const uint8_t *contig, int64_t size, int64_t start, int64_t length,
                                uint8_t *out)
{
    int64_t from = start < 0 ? -start : 0;
    int64_t to = start + length > size ? size - start : length;
    if (from > length)
        from = length;
    if (to < from)
        to = from;
    if (from)
        memset(out, 4, (size_t)from);
    if (to > from)
        memcpy(out + from, contig + start + from, (size_t)(to - from));
    if (to < length)
        memset(out + to, 4, (size_t)(length - to));
}

/* 1 where [start, start + length) reaches beyond an end, plus 2 where it holds an unknown base */
static inline uint8_t fasta_mark(const uint8_t *contig, int64_t size, int64_t start, int64_t length)
{
    int64_t from = start < 0 ? 0 : start;
    int64_t to = start + length > size ? size : start + length;
    uint8_t unknown = 0;
    for (int64_t i = from; i < to; i++)
        unknown |= contig[i] & 4;
    return (uint8_t)((start < 0 || start + length > size) + (unknown ? 2 : 0));
}

#endif
