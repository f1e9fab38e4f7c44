-- Records operations that were not recorded yet, adds them up, and tells every screen.
-- KEYS: the operations, the balances. ARGV: device, epoch, first seq, reason, at, then SKU and thousandths of each.
-- Returns the last seq.
local seq = tonumber(ARGV[3])
for at = 6, #ARGV, 2 do
    local name = ARGV[1] .. '/' .. ARGV[2] .. '/' .. seq
    local operation = ARGV[at] .. ' ' .. ARGV[at + 1] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5]
    if redis.call('HSETNX', KEYS[1], name, operation) == 1 then
        local on_hand_milli = redis.call('HINCRBY', KEYS[2], ARGV[at], ARGV[at + 1])
        redis.call('PUBLISH', KEYS[2], cjson.encode({sku = ARGV[at], on_hand_milli = on_hand_milli}))
    end
    seq = seq + 1
end
return seq - 1
