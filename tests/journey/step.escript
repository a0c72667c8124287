#!/usr/bin/env escript
%% The third step of the journey: takes what Node.js sent, adds its name, passes it on.
-mode(compile).

main([Address]) ->
    {ok, Member} = primer:open(#{cluster => journey, seeds => [Address]}),
    {ok, From} = primer:queue(Member, <<"to-erlang">>),
    {ok, To} = primer:queue(Member, <<"to-python">>),
    {ok, [#{body := Body, headers := Headers} = Letter]} = primer:'receive'(From, #{wait => 30000}),
    {ok, #{copies := 2}} = primer:enqueue(To, [Body, " Erlang"], #{copies => 2, headers => Headers}),
    ok = primer:ack(Letter),
    {ok, Stay} = primer:queue(Member, <<"stay">>),
    {ok, _} = primer:'receive'(Stay, #{wait => 60000}), % a member until the journey is over
    ok = primer:close(Member),
    halt(0).
