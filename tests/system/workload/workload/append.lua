-- Appends a line of 8 bytes to a file for each token; the file's length and lines must fit.
package.path = "/workload/?.lua"
local stage = require "stage"

local log = assert(io.open("/w/log", "a+"))
local size = 0

stage.run("append", "/w/c", "/w/d", function(n)
    local found = log:seek("end")
    if found ~= size then
        stage.torn("append: length", size, found)
    end
    log:write(("%07d\n"):format(n))
    log:flush()
    size = size + 8
    local k = math.random(1, n)
    log:seek("set", 8 * (k - 1))
    local line = log:read("l")
    if line ~= ("%07d"):format(k) then
        stage.torn("append", k, line or "end of file")
    end
end)
