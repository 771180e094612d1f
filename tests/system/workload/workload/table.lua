-- A table of the last SIZE tokens, checked at random at each step and as a whole now and then.
package.path = "/workload/?.lua"
local stage = require "stage"

local SIZE = 2000
local entries = {}

local function check(k)
    local e = entries[k % SIZE]
    if not e or e.number ~= k or e.square ~= k * k or e.text ~= "entry " .. k then
        stage.torn("table", k, e and e.number or "nothing")
    end
end

stage.run("table", "/w/a", "/w/b", function(n)
    if n > SIZE then
        check(n - SIZE)
    end
    entries[n % SIZE] = {number = n, square = n * n, text = "entry " .. n}
    local oldest = math.max(1, n - SIZE + 1)
    for _ = 1, 10 do
        check(math.random(oldest, n))
    end
    if n % 200 == 0 then
        for k = oldest, n do
            check(k)
        end
    end
end)
