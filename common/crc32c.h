/* crc32c.h - CRC-32C (Castagnoli), as in RFC 3720 appendix B.4: reflected polynomial
 * 0x82F63B78, initial value and final xor all ones.
 *
 * crc32c(0, "123456789", 9) == 0xE3069283. Uses the processor's crc32 instruction where
 * there is one and a table elsewhere; both give the same value.
 */
#ifndef COMMON_CRC32C_H
#define COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC of the bytes so far (0 for none) extended by `data`; so a CRC can be made in
 * pieces. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
